package main

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/controller/daemon"
	"k8s.io/kubernetes/pkg/controller/daemon/util"
)

// placeDaemons makes the pods of the DaemonSets that belong onto the node, by the DaemonSet controller's own rules, and
// places those that pass; one for which the node is too small would stay Pending, whatever the plan does.
func (c *cluster) placeDaemons(ctx context.Context, node *v1.Node, sets []*appsv1.DaemonSet) ([]string, error) {
	var placed []string
	for _, set := range sets {
		if should, _ := daemon.NodeShouldRunDaemonPod(c.logger, node, set); !should || c.hasDaemon(node, set) {
			continue
		}
		pod, err := admitted(daemonPod(set, node.Name))
		if err != nil {
			return nil, err
		}
		if err := c.add(pod); err != nil {
			return nil, err
		}
		refusal, err := c.place(ctx, pod, node.Name)
		if err != nil {
			return nil, err
		}
		if refusal == "" {
			placed = append(placed, pod.Name)
		} else if err := c.pods.remove(pod); err != nil {
			return nil, err
		}
	}
	return placed, nil
}

func (c *cluster) hasDaemon(node *v1.Node, set *appsv1.DaemonSet) bool {
	for _, one := range c.pods.indexer.List() {
		pod := one.(*v1.Pod)
		owner := metav1.GetControllerOf(pod)
		if pod.Spec.NodeName == node.Name && pod.Namespace == set.Namespace && owner != nil &&
			owner.Kind == "DaemonSet" && owner.Name == set.Name {
			return true
		}
	}
	return false
}

func daemonPod(set *appsv1.DaemonSet, node string) *v1.Pod {
	pod := daemon.NewPod(set, node).DeepCopy()
	pod.Name = set.Name + "-" + node
	pod.UID = types.UID(pod.Namespace + "/" + pod.Name)
	pod.ResourceVersion = "1"
	pod.Spec.NodeName = ""
	pod.Spec.Affinity = util.ReplaceDaemonSetPodNodeNameNodeAffinity(pod.Spec.Affinity, node)
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("DaemonSet"))}
	return pod
}
