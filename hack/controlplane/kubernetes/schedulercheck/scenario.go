package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	podregistry "k8s.io/kubernetes/pkg/registry/core/pod"
)

// Scenario is a cluster, a plan for it, and what the plan calls impossible.
//
// Objects are manifests of Nodes (those of the plan too), Pods, Namespaces, PersistentVolumeClaims, PersistentVolumes,
// StorageClasses, CSINodes and DaemonSets. Pods with spec.nodeName run; of the others only those of Planned and
// Impossible are looked at. Pods are named "namespace/name".
type Scenario struct {
	Objects []json.RawMessage `json:"objects"`
	// Planned are the pods in the order in which they are tried, with the nodes they are nominated to.
	Planned []Nomination `json:"planned"`
	// Orders are further orders of the planned pods, as indices into Planned; each is tried on a cluster of its own.
	Orders [][]int `json:"orders"`
	// Impossible are pods that must be refused everywhere, after the planned ones have been placed.
	Impossible []string `json:"impossible"`
	// Fresh are nodes that could be bought besides; each is put into the cluster alone, with its daemons.
	Fresh []Fresh `json:"fresh"`
}

// Nomination is a planned pod and its node.
type Nomination struct {
	Pod  string `json:"pod"`
	Node string `json:"node"`
}

// Fresh is a Node and its CSINode, if it has one.
type Fresh struct {
	Node    json.RawMessage `json:"node"`
	CSINode json.RawMessage `json:"csiNode,omitempty"`
}

// Answer says what became of the pods. Error is set, and nothing else, when the scenario can't be judged.
type Answer struct {
	Error string `json:"error,omitempty"`
	// Refused has an entry for each order (the one of Planned first): the pods that were not placed, and why.
	Refused []map[string]string `json:"refused"`
	// Rounds is how often each order was gone through until nobody was left, or nobody was placed.
	Rounds []int `json:"rounds"`
	// Strayed counts refusals (in the order of Planned) of pods that another node would have taken meanwhile.
	Strayed int `json:"strayed"`
	// Impossible has for each node the reason why the pod is refused there, "" where it is not.
	Impossible map[string]map[string]string `json:"impossible"`
	// Daemons are the daemon pods that were placed before all others, by node.
	Daemons map[string][]string `json:"daemons"`
}

// objects are a scenario's manifests, defaulted and checked as the API server would.
type objects struct {
	nodes      []*v1.Node
	pods       []*v1.Pod
	daemonSets []*appsv1.DaemonSet
	// others are of the kinds that only the plugins read.
	others []runtime.Object
	byName map[string]*v1.Pod
}

func decodeObjects(manifests []json.RawMessage) (*objects, error) {
	found := &objects{byName: map[string]*v1.Pod{}}
	for number, manifest := range manifests {
		object, err := decode(manifest, number+1)
		if err != nil {
			return nil, err
		}
		switch object := object.(type) {
		case *v1.Node:
			found.nodes = append(found.nodes, object)
		case *appsv1.DaemonSet:
			found.daemonSets = append(found.daemonSets, object)
		case *v1.Pod:
			pod, err := admitted(object)
			if err != nil {
				return nil, err
			}
			found.pods = append(found.pods, pod)
			found.byName[key(pod)] = pod
		case *v1.Namespace, *v1.PersistentVolumeClaim, *v1.PersistentVolume, *storagev1.StorageClass, *storagev1.CSINode:
			found.others = append(found.others, object)
		default:
			return nil, fmt.Errorf("%T: is of no kind that is looked at; leave it out", object)
		}
	}
	return found, nil
}

// decode reads a manifest, fills in the API's defaults, and gives it a version, by which the scheduler tells news.
func decode(manifest json.RawMessage, version int) (runtime.Object, error) {
	object, _, err := legacyscheme.Codecs.UniversalDeserializer().Decode(manifest, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%w in %.200s", err, manifest)
	}
	legacyscheme.Scheme.Default(object)
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	accessor.SetResourceVersion(strconv.Itoa(version))
	if accessor.GetUID() == "" {
		accessor.SetUID(types.UID(fmt.Sprintf("%T/%s/%s", object, accessor.GetNamespace(), accessor.GetName())))
	}
	return object, nil
}

// admitted is the pod as the API server stores it: label keys merged into selectors, and valid. Its status stays.
func admitted(pod *v1.Pod) (*v1.Pod, error) {
	status, ctx := pod.Status, context.Background()
	internal := &api.Pod{}
	if err := legacyscheme.Scheme.Convert(pod, internal, nil); err != nil {
		return nil, err
	}
	podregistry.Strategy.PrepareForCreate(ctx, internal)
	if errors := podregistry.Strategy.Validate(ctx, internal); len(errors) > 0 {
		return nil, fmt.Errorf("pod %s: %w", key(pod), errors.ToAggregate())
	}
	stored := &v1.Pod{}
	if err := legacyscheme.Scheme.Convert(internal, stored, nil); err != nil {
		return nil, err
	}
	stored.Status = status
	return stored, nil
}

func key(pod *v1.Pod) string {
	return pod.Namespace + "/" + pod.Name
}
