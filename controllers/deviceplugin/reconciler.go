package deviceplugin

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

// FieldOwner is the field manager of the ConfigMaps and of the labels of nodes.
const FieldOwner = client.FieldOwner("sriov-offload-operator-device-plugin")

// LabelManagedBy with ManagedBy marks the ConfigMaps of this package, so that
// the manager's cache need not hold any other.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "sriov-offload-operator"
)

// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",namespace=system,resources=configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=events.k8s.io,namespace=system,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodestates,verbs=get;list;watch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodestates/finalizers,verbs=update
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovoperatorconfigs,verbs=get;list;watch

// Reconciler writes the ConfigMap and the labels of one node. The key is the node.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Namespace of the operator: of the node states and ConfigMaps.
	Namespace string

	configMaps ssa.Latest[*corev1.ConfigMap]
	nodes      ssa.Latest[*metav1.PartialObjectMetadata]
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	state, err := r.state(ctx, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	operator, err := settings.Get(ctx, r.Client, r.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	node, err := r.node(ctx, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if state == nil || !state.DeletionTimestamp.IsZero() {
		// The ConfigMap goes with the state that owns it. The labels of a managed
		// node stay until a new state says something about its NICs.
		if node == nil || operator.RunsDaemon(node.Labels) {
			return reconcile.Result{}, nil
		}
		return reconcile.Result{}, r.label(ctx, node, nil)
	}
	if !fleet.Reported(state) {
		return reconcile.Result{}, nil // means nothing yet
	}
	offer, err := r.offer(ctx, state, operator)
	if err != nil || node == nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.label(ctx, node, nodeLabels(node.Labels, state, offer))
}

// offer writes the ConfigMap and returns the value of the label for the plugin;
// empty if what the plugin has stays.
func (r *Reconciler) offer(ctx context.Context, state *sriovv1.SriovNetworkNodeState, operator settings.Settings) (string, error) {
	if state.Spec.ComputedFrom == "" {
		return "", nil
	}
	data, resources, err := Render(state.Spec, state.Status.Interfaces, Defaults{ResourcePrefix: operator.ResourcePrefix})
	if err != nil {
		// Only another policy can change that, so a retry has no point.
		log.FromContext(ctx).Info("cannot render the device plugin configuration", "reason", err.Error())
		recordRenderFailed(r.Recorder, state, err)
		return "", nil
	}
	if err := r.writeConfigMap(ctx, state, data, len(resources) > 0); err != nil {
		return "", err
	}
	if len(resources) == 0 {
		return sriovv1.DevicePluginDisabled, nil
	}
	return sriovv1.DevicePluginEnabled, nil
}

// node returns the node, or nil if there is none. It must not be changed.
func (r *Reconciler) node(ctx context.Context, name string) (*metav1.PartialObjectMetadata, error) {
	key := client.ObjectKey{Name: name}
	cached, err := nodes.Get(ctx, r.Client, name)
	if err != nil {
		return nil, err
	}
	if cached == nil {
		r.nodes.Forget(key)
		return nil, nil
	}
	node, _ := r.nodes.Of(key, cached, true)
	return node, nil
}

func (r *Reconciler) state(ctx context.Context, name string) (*sriovv1.SriovNetworkNodeState, error) {
	key := client.ObjectKey{Namespace: r.Namespace, Name: name}
	state := &sriovv1.SriovNetworkNodeState{}
	if err := r.Client.Get(ctx, key, state, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("getting node state %s: %w", key, err)
	}
	return state, nil
}

// writeConfigMap makes the ConfigMap what it should be: with the configuration,
// or gone when there is nothing to offer.
func (r *Reconciler) writeConfigMap(ctx context.Context, state *sriovv1.SriovNetworkNodeState, data []byte, wanted bool) error {
	desired := ConfigMap(state, data)
	desired.Labels = map[string]string{LabelManagedBy: ManagedBy}
	key := client.ObjectKeyFromObject(desired)
	cached := &corev1.ConfigMap{}
	err := r.Client.Get(ctx, key, cached, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("getting ConfigMap %s: %w", key, err)
	}
	observed, found := r.configMaps.Of(key, cached, err == nil)
	switch {
	case !wanted && !found, wanted && found && hasAll(observed, desired):
		return nil
	case !wanted:
		err := r.Client.Delete(ctx, observed.DeepCopy(), client.Preconditions{UID: &observed.UID})
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			r.configMaps.Forget(key)
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting ConfigMap %s: %w", key, err)
		}
		log.FromContext(ctx).Info("deleted the device plugin configuration, no resource is left", "configMap", key.Name)
		return nil
	}
	if err := ssa.Apply(ctx, r.Client, desired, FieldOwner); err != nil {
		r.configMaps.Forget(key)
		return err
	}
	r.configMaps.Wrote(desired)
	log.FromContext(ctx).Info("wrote the device plugin configuration", "configMap", key.Name)
	return nil
}

// hasAll tells whether everything that we write is there; others may add to it.
func hasAll(observed, desired *corev1.ConfigMap) bool {
	if observed.Data[ConfigKey] != desired.Data[ConfigKey] || observed.Labels[LabelManagedBy] != ManagedBy ||
		observed.Annotations[sriovv1.AnnotationStateGeneration] != desired.Annotations[sriovv1.AnnotationStateGeneration] {
		return false
	}
	for _, owner := range desired.OwnerReferences {
		same := func(o metav1.OwnerReference) bool { return o.UID == owner.UID }
		if !slices.ContainsFunc(observed.OwnerReferences, same) {
			return false
		}
	}
	return true
}

// label makes the labels of the node that are ours the desired ones.
func (r *Reconciler) label(ctx context.Context, node *metav1.PartialObjectMetadata, desired map[string]string) error {
	if nodes.CapableLabelOwner(node, FieldOwner) != "" {
		delete(desired, sriovv1.LabelCapable)
	} else if !sameLabel(node.Labels, desired, sriovv1.LabelCapable) {
		return r.applyLabels(ctx, node, desired)
	}
	if sameLabel(node.Labels, desired, sriovv1.LabelDevicePlugin) {
		return nil
	}
	return r.applyLabels(ctx, node, desired)
}

func sameLabel(observed, desired map[string]string, key string) bool {
	value, found := observed[key]
	want, wanted := desired[key]
	return found == wanted && value == want
}

func (r *Reconciler) applyLabels(ctx context.Context, node *metav1.PartialObjectMetadata, desired map[string]string) error {
	// With the uid, a node that was deleted meanwhile is not created again: the
	// API server answers with a conflict, and the event of the deletion follows.
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name, UID: node.UID, Labels: desired}}
	if err := ssa.Apply(ctx, r.Client, n, FieldOwner); apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		r.nodes.Forget(client.ObjectKeyFromObject(node))
		return nil
	} else if err != nil {
		return err
	}
	answer := nodes.New()
	answer.ObjectMeta = n.ObjectMeta
	r.nodes.Wrote(answer)
	log.FromContext(ctx).Info("wrote the labels of the node", "labels", desired)
	return nil
}

// nodeLabels are the labels that a node with a reported inventory should have
// from us; plugin is the value of the one for the device plugin, empty if it
// stays as it is. That a PF cannot have VFs is no more than that: its firmware
// may say so today, and nothing that was given because of the label may depend
// on it. The label goes when there is certainly no PF.
func nodeLabels(observed map[string]string, state *sriovv1.SriovNetworkNodeState, plugin string) map[string]string {
	l := map[string]string{}
	if before, found := observed[sriovv1.LabelDevicePlugin]; found {
		l[sriovv1.LabelDevicePlugin] = before
	}
	if plugin != "" {
		l[sriovv1.LabelDevicePlugin] = plugin
	}
	before, found := observed[sriovv1.LabelCapable]
	certainlyNot := state.Status.Inventory == sriovv1.InventoryComplete && len(state.Status.Interfaces) == 0
	switch {
	case fleet.Capable(state):
		l[sriovv1.LabelCapable] = "true"
	case found && !certainlyNot:
		l[sriovv1.LabelCapable] = before
	}
	return l
}
