package await

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Options of Run.
type Options struct {
	// Config of the API server.
	Config *rest.Config
	// Node is the name of the node, Namespace the one of the operator.
	Node, Namespace string
	// File is the path of the plugin's configuration.
	File string
}

// Run waits until the node is what its node state asks for, and writes the file.
// It watches two objects, and logs what it waits for each time that changes. It
// returns ctx's error when ctx ends first; then no file was written.
func Run(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	objects, changed, err := o.watch(ctx)
	if err != nil {
		cancel()
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := objects.Start(ctx); err != nil {
			log.FromContext(ctx).Error(err, "cannot watch the node's objects")
			cancel()
		}
	}()
	defer func() { <-ended }()
	defer cancel()
	if !objects.WaitForCacheSync(ctx) {
		return fmt.Errorf("reading the objects of node %s: %w", o.Node, context.Cause(ctx))
	}
	for said := ""; ; {
		file, wait, err := o.look(ctx, objects)
		if err != nil {
			return err
		}
		if wait == "" {
			log.FromContext(ctx).Info("the node is ready: writing the device plugin configuration", "file", o.File)
			return writeFile(o.File, file)
		}
		if wait != said {
			log.FromContext(ctx).Info("waiting", "node", o.Node, "reason", wait)
			said = wait
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for node %s, %s: %w", o.Node, wait, ctx.Err())
		case <-changed:
		}
	}
}

// watch returns a cache of the node's two objects, not started, and a channel
// that has something after either changed.
func (o Options) watch(ctx context.Context) (cache.Cache, <-chan struct{}, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), sriovv1.AddToScheme(scheme)); err != nil {
		return nil, nil, fmt.Errorf("registering kinds: %w", err)
	}
	named := func(name string) cache.ByObject {
		return cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", name)}
	}
	objects, err := cache.New(o.Config, cache.Options{
		Scheme:            scheme,
		DefaultNamespaces: map[string]cache.Config{o.Namespace: {}},
		ByObject: map[client.Object]cache.ByObject{
			&sriovv1.SriovNetworkNodeState{}: named(o.Node),
			&corev1.ConfigMap{}:              named(sriovv1.DevicePluginConfigPrefix + o.Node),
		},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("watching the objects of node %s: %w", o.Node, err)
	}
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // it will look again anyway
		}
	}
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
	}
	for _, object := range []client.Object{&sriovv1.SriovNetworkNodeState{}, &corev1.ConfigMap{}} {
		informer, err := objects.GetInformer(ctx, object)
		if err == nil {
			_, err = informer.AddEventHandler(handler)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("watching the %T of node %s: %w", object, o.Node, err)
		}
	}
	return objects, changed, nil
}

// look decides from what is in the cache now.
func (o Options) look(ctx context.Context, objects client.Reader) (file, wait string, err error) {
	state, err := get(ctx, objects, client.ObjectKey{Namespace: o.Namespace, Name: o.Node}, &sriovv1.SriovNetworkNodeState{})
	if err != nil {
		return "", "", err
	}
	key := client.ObjectKey{Namespace: o.Namespace, Name: sriovv1.DevicePluginConfigPrefix + o.Node}
	config, err := get(ctx, objects, key, &corev1.ConfigMap{})
	if err != nil {
		return "", "", err
	}
	file, wait = Decide(state, config)
	return file, wait, nil
}

// get returns nil when there is no such object.
func get[T client.Object](ctx context.Context, objects client.Reader, key client.ObjectKey, into T) (T, error) {
	var none T
	if err := objects.Get(ctx, key, into); apierrors.IsNotFound(err) {
		return none, nil
	} else if err != nil {
		return none, fmt.Errorf("reading %T %s: %w", into, key, err)
	}
	return into, nil
}
