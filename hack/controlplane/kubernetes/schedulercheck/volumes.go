package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/volume"
)

// bindVolumes does for the placed pod what a provisioner and the volume controller would do before it is bound: each of
// its claims that waited for a consumer gets a volume that is bound to the topology of the pod's node.
func (c *cluster) bindVolumes(pod *v1.Pod) error {
	for _, mounted := range pod.Spec.Volumes {
		if mounted.PersistentVolumeClaim == nil {
			continue
		}
		found, exists, err := c.claims.indexer.GetByKey(pod.Namespace + "/" + mounted.PersistentVolumeClaim.ClaimName)
		if err != nil || !exists {
			return fmt.Errorf("pod %s: its claim vanished: %w", key(pod), err)
		}
		if claim := found.(*v1.PersistentVolumeClaim); claim.Spec.VolumeName == "" {
			if err := c.provision(claim, pod.Spec.NodeName); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *cluster) provision(claim *v1.PersistentVolumeClaim, nodeName string) error {
	for _, one := range c.volumes.indexer.List() {
		if existing := one.(*v1.PersistentVolume); existing.Spec.ClaimRef == nil {
			return fmt.Errorf("volume %s: is free; volumes that wait for a claim are not judged here", existing.Name)
		}
	}
	found, exists, err := c.classes.indexer.GetByKey(volume.GetPersistentVolumeClaimClass(claim))
	if err != nil || !exists {
		return fmt.Errorf("claim %s: it passed without a StorageClass: %w", claim.Name, err)
	}
	class := found.(*storagev1.StorageClass)
	affinity, err := c.topologyOf(nodeName, class.Provisioner)
	if err != nil {
		return err
	}
	made := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "made-for-" + claim.Namespace + "-" + claim.Name, ResourceVersion: c.nextVersion()},
		Spec: v1.PersistentVolumeSpec{
			Capacity:         claim.Spec.Resources.Requests,
			AccessModes:      claim.Spec.AccessModes,
			StorageClassName: class.Name,
			NodeAffinity:     affinity,
			ClaimRef:         &v1.ObjectReference{Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
			PersistentVolumeSource: v1.PersistentVolumeSource{
				CSI: &v1.CSIPersistentVolumeSource{Driver: class.Provisioner, VolumeHandle: string(claim.UID)},
			},
		},
		Status: v1.PersistentVolumeStatus{Phase: v1.VolumeBound},
	}
	bound := claim.DeepCopy()
	bound.ResourceVersion = c.nextVersion()
	bound.Spec.VolumeName = made.Name
	bound.Status.Phase = v1.ClaimBound
	metav1.SetMetaDataAnnotation(&bound.ObjectMeta, volume.AnnBindCompleted, "yes")
	if err := c.volumes.add(made); err != nil {
		return err
	}
	return c.claims.update(claim, bound)
}

// topologyOf is the affinity that the driver gives a volume that it makes for this node: by the keys that its CSINode
// names, or by zone where it names none.
func (c *cluster) topologyOf(nodeName, driver string) (*v1.VolumeNodeAffinity, error) {
	found, exists, err := c.nodes.indexer.GetByKey(nodeName)
	if err != nil || !exists {
		return nil, fmt.Errorf("there is no node %q: %w", nodeName, err)
	}
	labels := found.(*v1.Node).Labels
	var terms []v1.NodeSelectorRequirement
	for _, topology := range c.topologyKeys(nodeName, driver) {
		if value, ok := labels[topology]; ok {
			terms = append(terms, v1.NodeSelectorRequirement{
				Key: topology, Operator: v1.NodeSelectorOpIn, Values: []string{value},
			})
		}
	}
	if len(terms) == 0 {
		return nil, nil
	}
	required := &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{MatchExpressions: terms}}}
	return &v1.VolumeNodeAffinity{Required: required}, nil
}

func (c *cluster) topologyKeys(nodeName, driver string) []string {
	if found, exists, _ := c.csiNodes.indexer.GetByKey(nodeName); exists {
		for _, one := range found.(*storagev1.CSINode).Spec.Drivers {
			if one.Name == driver && len(one.TopologyKeys) > 0 {
				return one.TopologyKeys
			}
		}
	}
	return []string{v1.LabelTopologyZone}
}
