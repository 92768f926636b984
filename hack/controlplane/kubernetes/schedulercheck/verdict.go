package main

import (
	"context"
	"errors"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// judge tries all orders of the planned pods, each from the beginning, and after the first of them the impossible ones.
func judge(ctx context.Context, scenario *Scenario) (*Answer, error) {
	found, err := decodeObjects(scenario.Objects)
	if err != nil {
		return nil, err
	}
	answer := &Answer{}
	orders := append([][]int{upTo(len(scenario.Planned))}, scenario.Orders...)
	for number, order := range orders {
		if err := tried(ctx, scenario, found, order, number == 0, answer); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func upTo(count int) []int {
	numbers := make([]int, count)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

func tried(ctx context.Context, scenario *Scenario, found *objects, order []int, first bool, answer *Answer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := newCluster(ctx, found)
	if err != nil {
		return err
	}
	daemons := map[string][]string{}
	for _, node := range found.nodes {
		if daemons[node.Name], err = c.placeDaemons(ctx, node, found.daemonSets); err != nil {
			return err
		}
	}
	planned, err := nominated(scenario.Planned, order, found)
	if err != nil {
		return err
	}
	run := &run{cluster: c, refused: map[string]string{}, watchStrays: first}
	if err := run.all(ctx, planned); err != nil {
		return err
	}
	answer.Refused = append(answer.Refused, run.refused)
	answer.Rounds = append(answer.Rounds, run.rounds)
	if first {
		answer.Strayed, answer.Daemons = run.strayed, daemons
		answer.Impossible, err = c.impossible(ctx, scenario, found)
	}
	return err
}

func nominated(planned []Nomination, order []int, found *objects) ([]*v1.Pod, error) {
	pods := make([]*v1.Pod, 0, len(order))
	for _, index := range order {
		pod := found.byName[planned[index].Pod]
		if pod == nil {
			return nil, fmt.Errorf("planned pod %q: there is no such manifest", planned[index].Pod)
		}
		pod = pod.DeepCopy()
		pod.Status.NominatedNodeName = planned[index].Node
		pods = append(pods, pod)
	}
	return pods, nil
}

// run is one order of the planned pods.
type run struct {
	*cluster
	refused     map[string]string
	rounds      int
	strayed     int
	watchStrays bool
}

// all tries the pods in rounds, as long as each round places one. A pod that its node refuses loses its nomination, as
// kube-scheduler takes it away; whoever nominated it does so again before the next round.
func (r *run) all(ctx context.Context, pods []*v1.Pod) error {
	for _, pod := range pods {
		if err := r.add(pod); err != nil {
			return err
		}
	}
	for waiting := pods; len(waiting) > 0; {
		r.rounds++
		left, err := r.round(ctx, waiting)
		if err != nil {
			return err
		}
		if len(left) == len(waiting) {
			return nil
		}
		waiting = left
	}
	return nil
}

func (r *run) round(ctx context.Context, pods []*v1.Pod) ([]*v1.Pod, error) {
	for _, pod := range pods {
		info, err := framework.NewPodInfo(pod)
		if err != nil {
			return nil, err
		}
		r.scheduler.SchedulingQueue.AddNominatedPod(r.logger, info, nil)
	}
	var left []*v1.Pod
	for _, pod := range pods {
		refusal, err := r.place(ctx, pod, pod.Status.NominatedNodeName)
		if err != nil {
			return nil, err
		}
		if refusal == "" {
			delete(r.refused, key(pod))
			continue
		}
		r.refused[key(pod)] = refusal
		left = append(left, pod)
		if err := r.countStray(ctx, pod); err != nil {
			return nil, err
		}
		r.scheduler.SchedulingQueue.DeleteNominatedPodIfExists(pod)
	}
	return left, nil
}

// countStray looks whether the scheduler would have put a pod elsewhere that its node refuses.
func (r *run) countStray(ctx context.Context, pod *v1.Pod) error {
	if !r.watchStrays {
		return nil
	}
	nodes, err := r.refusals(ctx, pod)
	for _, refusal := range nodes {
		if refusal == "" {
			r.strayed++
			break
		}
	}
	return err
}

// refusals has for each node why it refuses the pod.
func (c *cluster) refusals(ctx context.Context, pod *v1.Pod) (map[string]string, error) {
	begun, err := c.begin(ctx, pod)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, one := range c.nodes.indexer.List() {
		name := one.(*v1.Node).Name
		if found[name], err = c.refuses(ctx, begun, name); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// impossible tries pods on every node there is, and on every fresh node, put into the cluster alone and empty but for
// its daemons.
func (c *cluster) impossible(ctx context.Context, scenario *Scenario, found *objects) (map[string]map[string]string, error) {
	verdicts := map[string]map[string]string{}
	for _, name := range scenario.Impossible {
		pod := found.byName[name]
		if pod == nil {
			return nil, fmt.Errorf("impossible pod %q: there is no such manifest", name)
		}
		nodes, err := c.refusals(ctx, pod)
		if err != nil {
			return nil, err
		}
		verdicts[name] = nodes
	}
	for number, fresh := range scenario.Fresh {
		if len(scenario.Impossible) == 0 {
			break
		}
		if err := c.tryFresh(ctx, fresh, number, found, verdicts); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

func (c *cluster) tryFresh(
	ctx context.Context, fresh Fresh, number int, found *objects, verdicts map[string]map[string]string,
) error {
	object, err := decode(fresh.Node, number+1)
	if err != nil {
		return err
	}
	node, ok := object.(*v1.Node)
	if !ok {
		return fmt.Errorf("fresh node %d: is a %T", number, object)
	}
	if err := c.add(node); err != nil {
		return err
	}
	if len(fresh.CSINode) > 0 {
		csiNode, err := decode(fresh.CSINode, number+1)
		if err != nil {
			return err
		}
		if err := c.add(csiNode); err != nil {
			return err
		}
		defer c.of(csiNode).remove(csiNode)
	}
	if _, err := c.placeDaemons(ctx, node, found.daemonSets); err != nil {
		return err
	}
	for name, nodes := range verdicts {
		begun, err := c.begin(ctx, found.byName[name])
		if err != nil {
			return err
		}
		if nodes[node.Name], err = c.refuses(ctx, begun, node.Name); err != nil {
			return err
		}
	}
	return c.vanish(node)
}

// vanish takes a node away again, with its pods.
func (c *cluster) vanish(node *v1.Node) error {
	var failed error
	for _, one := range c.pods.indexer.List() {
		if pod := one.(*v1.Pod); pod.Spec.NodeName == node.Name {
			failed = errors.Join(failed, c.pods.remove(pod))
		}
	}
	return errors.Join(failed, c.nodes.remove(node))
}
