package simhost

import (
	"context"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// eventBuffer is how many events wait for a slow subscriber before some are lost.
const eventBuffer = 512

type subscriber struct {
	events chan host.Event
	// caller is nil for Admin.
	caller *generation
}

// publish hands an event to every subscriber. When one is full, the kernel's
// socket would have overrun: its oldest event makes room for saying so.
func (k *Kernel) publish(e host.Event) {
	for s := range k.subscribers {
		if s.caller != nil && s.caller.ended() {
			continue
		}
		select {
		case s.events <- e:
		default:
			s.overrun(e.Source)
		}
	}
}

// overrun replaces the oldest event. The lock makes us the only sender, so
// there is room afterwards.
func (s *subscriber) overrun(source string) {
	select {
	case <-s.events:
	default:
	}
	s.events <- host.Event{Source: source, Device: "overrun"}
}

func (k *Kernel) netlink(l *link) {
	if len(k.subscribers) > 0 {
		k.publish(host.Event{Source: "netlink", Device: l.name})
	}
}

func (k *Kernel) uevent(action string, fn *function) {
	if len(k.subscribers) > 0 {
		k.publish(host.Event{Source: "uevent", Device: action + "@" + devicePath(fn)})
	}
}

// drop ends a subscription.
func (k *Kernel) drop(s *subscriber) {
	if _, ok := k.subscribers[s]; ok {
		delete(k.subscribers, s)
		close(s.events)
	}
}

type eventsDoor struct{ *handle }

// Subscribe implements host.Events. A dead caller's channel stays silent.
func (d eventsDoor) Subscribe(ctx context.Context) (<-chan host.Event, error) {
	c := call{kind: "events.Subscribe", object: "kernel", words: "subscribing", device: "kernel events"}
	k := d.k
	s, err := run(ctx, d.handle, c, func() (*subscriber, error) {
		s := &subscriber{events: make(chan host.Event, eventBuffer), caller: d.gen}
		k.subscribers[s] = struct{}{}
		return s, nil
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.drop(s)
	})
	return s.events, nil
}
