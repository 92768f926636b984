"""All that talks to the API server: the client, the cache of what it says, leader election, events."""
