package ssa

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Latest remembers objects as the server answered a write, until a cache has
// caught up with it. A controller that reads through it never repeats a write
// because its cache is a moment behind. The zero value is ready for use, and
// safe for concurrent use.
type Latest[T client.Object] struct {
	mu      sync.Mutex
	written map[client.ObjectKey]T
}

// Wrote remembers the object as the server answered. The object must not be changed afterwards.
func (l *Latest[T]) Wrote(obj T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.written == nil {
		l.written = map[client.ObjectKey]T{}
	}
	l.written[client.ObjectKeyFromObject(obj)] = obj
}

// Of returns the newer of the cached object and the remembered one, and
// whether there is any. found tells whether the cache has the object.
func (l *Latest[T]) Of(key client.ObjectKey, cached T, found bool) (T, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	written, remembered := l.written[key]
	if !remembered {
		return cached, found
	}
	if !found {
		return written, true
	}
	order, err := resourceversion.CompareResourceVersion(cached.GetResourceVersion(), written.GetResourceVersion())
	if err != nil || order >= 0 {
		delete(l.written, key)
		return cached, true
	}
	return written, true
}

// Forget must be called when a delete event of the object arrives. Until then,
// an object that the cache does not have yet and one that it does not have any
// more look the same.
func (l *Latest[T]) Forget(key client.ObjectKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.written, key)
}
