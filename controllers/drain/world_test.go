package drain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// namespace of the operator in these tests.
const namespace = "operator"

// store is an API server of nodes, node states, pools and pods, of which a cache
// knows what it knew when it last caught up.
type store struct {
	client.Client // of the methods that nothing here calls
	version       int
	now           time.Time
	nodes         map[string]*corev1.Node
	states        map[string]*sriovv1.SriovNetworkNodeState
	pools         []sriovv1.SriovNetworkPoolConfig
	config        *sriovv1.SriovOperatorConfig
	pods          map[string]*corev1.Pod
	protected     map[string]bool // pods that a budget does not let go

	cachedNodes  map[string]*corev1.Node
	cachedStates map[string]*sriovv1.SriovNetworkNodeState

	// writesLeft before the manager dies, negative for never; arrives tells whether
	// the last one still does.
	writesLeft int
	arrives    bool

	// evicting is called before a pod is evicted or deleted, wrote after every write.
	evicting func(pod *corev1.Pod)
	wrote    func()
}

var errDied = errors.New("the manager died")

func newStore() *store {
	return &store{
		nodes: map[string]*corev1.Node{}, states: map[string]*sriovv1.SriovNetworkNodeState{}, pods: map[string]*corev1.Pod{},
		protected: map[string]bool{}, writesLeft: -1, now: seconds(0), evicting: func(*corev1.Pod) {}, wrote: func() {},
	}
}

// process is what a process of the manager has: both reconcilers and their memory.
type process struct {
	nodes *Reconciler
	slots *Slots
}

// start a manager, whose cache has everything.
func (s *store) start() process {
	s.writesLeft = -1
	s.catchUp(slices.Collect(maps.Keys(s.nodes))...)
	memory := &Memory{}
	recorder := events.NewFakeRecorder(1 << 16)
	return process{
		nodes: &Reconciler{
			Client: s, Recorder: recorder, Pods: s.clientset(), Namespace: namespace, RetryDelay: DefaultRetryDelay, Now: s.clock, Memory: memory,
		},
		slots: &Slots{Client: s, Recorder: recorder, Namespace: namespace, RetryDelay: DefaultRetryDelay, Now: s.clock, Memory: memory},
	}
}

func (s *store) clock() time.Time { return s.now }

func (p process) reconcileNode(ctx context.Context, name string) error {
	_, err := p.nodes.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	return err
}

func (p process) reconcileSlots(ctx context.Context) error {
	_, err := p.slots.Reconcile(ctx, reconcile.Request{})
	return err
}

// catchUp makes the cache know what there is of some nodes and their states.
func (s *store) catchUp(names ...string) {
	if s.cachedNodes == nil {
		s.cachedNodes, s.cachedStates = map[string]*corev1.Node{}, map[string]*sriovv1.SriovNetworkNodeState{}
	}
	for _, name := range names {
		s.cachedNodes[name] = s.nodes[name].DeepCopy()
		if state := s.states[name]; state != nil {
			s.cachedStates[name] = state.DeepCopy()
		}
	}
}

// knows tells whether a manager knows the state of a node as it is.
func (s *store) knows(p process, name string) bool {
	if p.nodes == nil {
		return false
	}
	cached := s.cachedStates[name]
	known, _ := p.nodes.Memory.states.Of(client.ObjectKeyFromObject(cached), cached, true)
	return known.ResourceVersion == s.states[name].ResourceVersion
}

func (s *store) next() string {
	s.version++
	return strconv.Itoa(s.version)
}

// addNode with a state.
func (s *store) addNode(name string, labels map[string]string, ready bool) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	s.nodes[name] = &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, ResourceVersion: s.next()},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}},
	}
	s.states[name] = &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, ResourceVersion: s.next()}}
}

// changeNode and changeState are what somebody other than the manager does.
func (s *store) changeNode(name string, change func(*corev1.Node)) {
	change(s.nodes[name])
	s.nodes[name].ResourceVersion = s.next()
	s.wrote()
}

func (s *store) changeState(name string, change func(*sriovv1.SriovNetworkNodeState)) {
	change(s.states[name])
	s.states[name].ResourceVersion = s.next()
	s.wrote()
}

// write is one write of the manager, which may be its last.
func (s *store) write(do func() error) error {
	switch {
	case s.writesLeft == 0:
		return errDied
	case s.writesLeft > 0:
		s.writesLeft--
	}
	last := s.writesLeft == 0
	if last && !s.arrives {
		return errDied
	}
	if err := do(); err != nil {
		return err
	}
	s.wrote()
	if last {
		return errDied
	}
	return nil
}

// Get implements client.Reader, from the cache.
func (s *store) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "objects"}, key.Name)
	switch o := obj.(type) {
	case *corev1.Node:
		if n := s.cachedNodes[key.Name]; n != nil {
			*o = *n
			return nil
		}
	case *sriovv1.SriovNetworkNodeState:
		if state := s.cachedStates[key.Name]; state != nil {
			*o = *state
			return nil
		}
	case *sriovv1.SriovOperatorConfig:
		if s.config != nil {
			*o = *s.config
			return nil
		}
	}
	return missing
}

// List implements client.Reader, from the cache.
func (s *store) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch l := list.(type) {
	case *corev1.NodeList:
		for _, name := range slices.Sorted(maps.Keys(s.cachedNodes)) {
			l.Items = append(l.Items, *s.cachedNodes[name])
		}
	case *sriovv1.SriovNetworkNodeStateList:
		for _, name := range slices.Sorted(maps.Keys(s.cachedStates)) {
			l.Items = append(l.Items, *s.cachedStates[name])
		}
	case *sriovv1.SriovNetworkPoolConfigList:
		l.Items = append(l.Items, s.pools...)
	default:
		return fmt.Errorf("nobody lists %T", list)
	}
	return nil
}

// Patch implements client.Writer for merge patches of nodes and node states.
func (s *store) Patch(_ context.Context, obj client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return s.write(func() error {
		data, err := patch.Data(obj)
		if err != nil {
			return err
		}
		var current client.Object
		switch obj.(type) {
		case *corev1.Node:
			current = s.nodes[obj.GetName()]
		case *sriovv1.SriovNetworkNodeState:
			current = s.states[obj.GetName()]
		}
		var sent struct {
			Metadata metav1.ObjectMeta `json:"metadata"`
		}
		if err := json.Unmarshal(data, &sent); err != nil {
			return err
		}
		if v := sent.Metadata.ResourceVersion; v != "" && v != current.GetResourceVersion() {
			return apierrors.NewConflict(schema.GroupResource{Resource: "nodes"}, obj.GetName(), errors.New("it changed"))
		}
		before, err := json.Marshal(current)
		if err != nil {
			return err
		}
		after, err := jsonpatch.MergePatch(before, data)
		if err != nil {
			return err
		}
		switch o := obj.(type) {
		case *corev1.Node:
			*o = corev1.Node{}
			err = json.Unmarshal(after, o)
			o.ResourceVersion = s.next()
			s.nodes[o.Name] = o.DeepCopy()
		case *sriovv1.SriovNetworkNodeState:
			*o = sriovv1.SriovNetworkNodeState{}
			err = json.Unmarshal(after, o)
			o.ResourceVersion = s.next()
			s.states[o.Name] = o.DeepCopy()
		}
		return err
	})
}

// Status implements client.StatusClient.
func (s *store) Status() client.SubResourceWriter { return &statusStore{s: s} }

type statusStore struct {
	client.SubResourceWriter
	s *store
}

// Apply takes the condition Drained and status.drain, all that one owner ever sends.
func (w *statusStore) Apply(_ context.Context, obj runtime.ApplyConfiguration, _ ...client.SubResourceApplyOption) error {
	return w.s.write(func() error {
		data, err := json.Marshal(obj)
		if err != nil {
			return err
		}
		var sent sriovv1.SriovNetworkNodeState
		if err := json.Unmarshal(data, &sent); err != nil || sent.Kind != "SriovNetworkNodeState" {
			return err // nothing depends on the counts of a pool
		}
		state := w.s.states[sent.Name]
		state.Status.Conditions = slices.DeleteFunc(state.Status.Conditions, func(c metav1.Condition) bool { return c.Type == sriovv1.ConditionDrained })
		state.Status.Conditions = append(state.Status.Conditions, sent.Status.Conditions...)
		state.Status.Drain = sent.Status.Drain
		state.ResourceVersion = w.s.next()
		answer := state.DeepCopy()
		answer.TypeMeta = sent.TypeMeta
		if data, err = json.Marshal(answer); err != nil {
			return err
		}
		into, ok := obj.(json.Unmarshaler)
		if !ok {
			return fmt.Errorf("cannot answer %T", obj)
		}
		return into.UnmarshalJSON(data)
	})
}

// GroupVersionKindFor implements client.Client.
func (s *store) GroupVersionKindFor(obj runtime.Object) (schema.GroupVersionKind, error) {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", obj), "*v1.")
	return sriovv1.GroupVersion.WithKind(kind), nil
}

// clientset reads, evicts and deletes pods. Kubelets are quick: a pod that may go is gone.
func (s *store) clientset() *fake.Clientset {
	c := fake.NewClientset()
	c.PrependReactor("*", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		switch {
		case a.Matches("list", "pods"):
			list := &corev1.PodList{}
			for _, name := range slices.Sorted(maps.Keys(s.pods)) {
				list.Items = append(list.Items, *s.pods[name])
			}
			return true, list, nil
		case a.Matches("list", "poddisruptionbudgets"):
			return true, &policyv1.PodDisruptionBudgetList{}, nil
		case a.Matches("create", "pods/eviction"):
			create, _ := a.(clienttesting.CreateAction)
			accessor, err := meta.Accessor(create.GetObject())
			if err != nil {
				return true, nil, err
			}
			return true, nil, s.remove(a.GetNamespace()+"/"+accessor.GetName(), true)
		case a.Matches("delete", "pods"):
			del, _ := a.(clienttesting.DeleteAction)
			return true, nil, s.remove(a.GetNamespace()+"/"+del.GetName(), false)
		}
		return true, nil, fmt.Errorf("nobody does %s %s", a.GetVerb(), a.GetResource().Resource)
	})
	return c
}

func (s *store) remove(name string, evict bool) error {
	return s.write(func() error {
		pod := s.pods[name]
		if pod == nil {
			return apierrors.NewNotFound(corev1.Resource("pods"), name)
		}
		s.evicting(pod)
		if evict && s.protected[name] {
			err := apierrors.NewTooManyRequests("no", 0)
			err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause}}
			return err
		}
		delete(s.pods, name)
		return nil
	})
}

// addPod of a ReplicaSet, or of a DaemonSet, on a node.
func (s *store) addPod(node, name, owner string) {
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pods", Name: name, OwnerReferences: []metav1.OwnerReference{{Kind: owner, Name: "owner", Controller: &yes}}},
		Spec:       corev1.PodSpec{NodeName: node},
	}
	s.pods[nameOf(p)] = p
}

// seconds after some time, with the precision of what is recorded.
func seconds(n int) time.Time { return time.Unix(int64(1700000000+n), 0).UTC() }
