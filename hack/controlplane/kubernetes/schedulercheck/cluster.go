package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	internalcache "k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/profile"
)

// client is never called: nothing here is bound, preempted or written.
var client = fake.NewClientset()

var recorders = profile.NewRecorderFactory(events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()}))

// cluster is a kube-scheduler and what it knows of.
type cluster struct {
	*feeds
	scheduler *scheduler.Scheduler
	framework framework.Framework
	snapshot  *internalcache.Snapshot
	logger    klog.Logger
	version   int
}

// newCluster starts with everything that a scenario says is there. It lives as long as its context.
func newCluster(ctx context.Context, found *objects) (*cluster, error) {
	factory := informers.NewSharedInformerFactory(client, 0)
	c := &cluster{feeds: newFeeds(factory), logger: klog.FromContext(ctx), version: 1_000_000}
	var err error
	if c.scheduler, err = scheduler.New(ctx, client, factory, nil, recorders); err != nil {
		return nil, err
	}
	c.framework = c.scheduler.Profiles[v1.DefaultSchedulerName]
	c.snapshot = c.framework.SnapshotSharedLister().(*internalcache.Snapshot)
	for _, object := range found.others {
		err = errors.Join(err, c.add(object))
	}
	for _, node := range found.nodes {
		err = errors.Join(err, c.add(node))
	}
	for _, pod := range found.pods {
		if pod.Spec.NodeName != "" {
			err = errors.Join(err, c.add(pod.DeepCopy()))
		}
	}
	return c, err
}

// cycle is one look of the scheduler at one pod, as far as PreFilter.
type cycle struct {
	state   fwk.CycleState
	pod     *v1.Pod
	only    *fwk.PreFilterResult
	refusal *fwk.Status
}

func (c *cluster) begin(ctx context.Context, pod *v1.Pod) (*cycle, error) {
	if err := c.scheduler.Cache.UpdateSnapshot(c.logger, c.snapshot); err != nil {
		return nil, err
	}
	begun := &cycle{state: framework.NewCycleState(), pod: pod}
	for _, plugin := range c.framework.PreEnqueuePlugins() {
		if status := plugin.PreEnqueue(ctx, pod); !status.IsSuccess() {
			begun.refusal = status.WithPlugin(plugin.Name())
			return begun, nil
		}
	}
	begun.only, begun.refusal, _ = c.framework.RunPreFilterPlugins(ctx, begun.state, pod)
	return begun, nil
}

// refuses says why the pod may not go onto the node, "" when it may.
func (c *cluster) refuses(ctx context.Context, begun *cycle, node string) (string, error) {
	if !begun.refusal.IsSuccess() {
		return described(begun.refusal)
	}
	info, err := c.snapshot.Get(node)
	if err != nil {
		return "", fmt.Errorf("pod %s: there is no node %q", key(begun.pod), node)
	}
	if !begun.only.AllNodes() && !begun.only.NodeNames.Has(node) {
		return "PreFilter: is not among the nodes that its affinity or volumes leave", nil
	}
	return described(c.framework.RunFilterPluginsWithNominatedPods(ctx, begun.state, begun.pod, info))
}

// described is a refusal in words; a plugin that failed is an error, since that is no answer.
func described(status *fwk.Status) (string, error) {
	switch {
	case status.IsSuccess():
		return "", nil
	case status.IsRejected():
		return fmt.Sprintf("%s: %s", status.Plugin(), strings.Join(status.Reasons(), "; ")), nil
	default:
		return "", fmt.Errorf("plugin %s failed: %w", status.Plugin(), status.AsError())
	}
}

// place puts the pod onto the node if all filters allow it, and says why not otherwise.
func (c *cluster) place(ctx context.Context, pod *v1.Pod, node string) (string, error) {
	begun, err := c.begin(ctx, pod)
	if err != nil {
		return "", err
	}
	if refusal, err := c.refuses(ctx, begun, node); refusal != "" || err != nil {
		return refusal, err
	}
	placed := pod.DeepCopy()
	placed.Spec.NodeName = node
	placed.ResourceVersion = c.nextVersion()
	if err := c.scheduler.Cache.AssumePod(c.logger, placed); err != nil {
		return "", err
	}
	if status := c.framework.RunReservePluginsReserve(ctx, begun.state, placed, node); !status.IsSuccess() {
		c.framework.RunReservePluginsUnreserve(ctx, begun.state, placed, node)
		if err := c.scheduler.Cache.ForgetPod(c.logger, placed); err != nil {
			return "", err
		}
		return described(status)
	}
	if err := c.bindVolumes(placed); err != nil {
		return "", err
	}
	return "", c.pods.update(pod, placed)
}

func (c *cluster) nextVersion() string {
	c.version++
	return fmt.Sprint(c.version)
}
