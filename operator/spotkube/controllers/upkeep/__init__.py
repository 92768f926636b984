"""What keeps a fleet sound: nodes that are old, drifted or sick are named, and spending that runs away is stopped."""
