package main

import (
	"time"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// feed is an informer without an API server: what is put into it is in the listers, and told to all handlers, before
// the call returns. So there is nothing to wait for.
type feed struct {
	cache.SharedIndexInformer // nil: nothing else of it is used
	indexer                   cache.Indexer
	handlers                  []cache.ResourceEventHandler
}

// feeds are the informers of the kinds that scenarios have.
type feeds struct {
	pods, nodes, namespaces, claims, volumes, classes, csiNodes *feed
}

// newFeeds puts its informers into the factory, before anybody else asks it for them.
func newFeeds(factory informers.SharedInformerFactory) *feeds {
	install := func(kind runtime.Object) *feed {
		indexers := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
		made := &feed{indexer: cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)}
		factory.InformerFor(kind, func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer { return made })
		return made
	}
	return &feeds{
		pods:       install(&v1.Pod{}),
		nodes:      install(&v1.Node{}),
		namespaces: install(&v1.Namespace{}),
		claims:     install(&v1.PersistentVolumeClaim{}),
		volumes:    install(&v1.PersistentVolume{}),
		classes:    install(&storagev1.StorageClass{}),
		csiNodes:   install(&storagev1.CSINode{}),
	}
}

func (f *feeds) add(object runtime.Object) error {
	return f.of(object).add(object)
}

func (f *feeds) of(object runtime.Object) *feed {
	switch object.(type) {
	case *v1.Pod:
		return f.pods
	case *v1.Node:
		return f.nodes
	case *v1.Namespace:
		return f.namespaces
	case *v1.PersistentVolumeClaim:
		return f.claims
	case *v1.PersistentVolume:
		return f.volumes
	case *storagev1.StorageClass:
		return f.classes
	default:
		return f.csiNodes
	}
}

func (f *feed) add(object any) error {
	if err := f.indexer.Add(object); err != nil {
		return err
	}
	for _, handler := range f.handlers {
		handler.OnAdd(object, false)
	}
	return nil
}

func (f *feed) update(old, object any) error {
	if err := f.indexer.Update(object); err != nil {
		return err
	}
	for _, handler := range f.handlers {
		handler.OnUpdate(old, object)
	}
	return nil
}

func (f *feed) remove(object any) error {
	if err := f.indexer.Delete(object); err != nil {
		return err
	}
	for _, handler := range f.handlers {
		handler.OnDelete(object)
	}
	return nil
}

func (f *feed) AddEventHandler(handler cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	f.handlers = append(f.handlers, handler)
	return synced{}, nil
}

func (f *feed) AddEventHandlerWithResyncPeriod(
	handler cache.ResourceEventHandler, _ time.Duration,
) (cache.ResourceEventHandlerRegistration, error) {
	return f.AddEventHandler(handler)
}

func (f *feed) AddEventHandlerWithOptions(
	handler cache.ResourceEventHandler, _ cache.HandlerOptions,
) (cache.ResourceEventHandlerRegistration, error) {
	return f.AddEventHandler(handler)
}

func (f *feed) AddIndexers(indexers cache.Indexers) error { return f.indexer.AddIndexers(indexers) }
func (f *feed) GetIndexer() cache.Indexer                 { return f.indexer }
func (f *feed) GetStore() cache.Store                     { return f.indexer }
func (f *feed) HasSynced() bool                           { return true }
func (f *feed) HasSyncedChecker() cache.DoneChecker       { return synced{} }
func (f *feed) IsStopped() bool                           { return false }

// synced is always done.
type synced struct{}

var always = func() chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}()

func (synced) HasSynced() bool                     { return true }
func (synced) HasSyncedChecker() cache.DoneChecker { return synced{} }
func (synced) Name() string                        { return "feed" }
func (synced) Done() <-chan struct{}               { return always }
