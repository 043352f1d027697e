package injector

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Path is where the webhook is served.
const Path = "/inject-resources"

// DefaultMultusNamespace is where Multus looks for a default network that is
// named without a namespace, unless it is configured otherwise.
const DefaultMultusNamespace = "kube-system"

// +kubebuilder:rbac:groups=k8s.cni.cncf.io,resources=network-attachment-definitions,verbs=get;list;watch

// Handler is the webhook.
type Handler struct {
	// cached and live read NetworkAttachmentDefinitions; live sees those that
	// were made a moment ago.
	cached, live    client.Reader
	multusNamespace string
}

// New returns the webhook. An empty namespace of Multus means the default.
func New(c cluster.Cluster, multusNamespace string) *Handler {
	if multusNamespace == "" {
		multusNamespace = DefaultMultusNamespace
	}
	return &Handler{cached: c.GetClient(), live: c.GetAPIReader(), multusNamespace: multusNamespace}
}

// Register adds the webhook to a server.
func Register(server webhook.Server, h *Handler) {
	server.Register(Path, &webhook.Admission{Handler: h})
}

// Handle implements admission.Handler.
func (h *Handler) Handle(ctx context.Context, req admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := json.Unmarshal(req.Object.Raw, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decoding the pod: %w", err))
	}
	if len(pod.Spec.Containers) == 0 {
		return admission.Allowed("the pod has no container")
	}
	names, err := attachments(pod.Annotations, req.Namespace, h.multusNamespace)
	if err != nil {
		return admission.Allowed("").WithWarnings("no device resource was added: " + err.Error())
	}
	wanted, warnings, err := h.wanted(ctx, names)
	if err != nil {
		// failurePolicy Ignore lets the pod through; the API server counts the failure.
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if !inject(pod, wanted) {
		return admission.Allowed("").WithWarnings(warnings...)
	}
	log.FromContext(ctx).V(1).Info("added resources to a pod", "pod", req.Namespace+"/"+pod.Name, "resources", wanted)
	return admission.Patched("", operations(req.Object.Raw, &pod.Spec.Containers[0])...).WithWarnings(warnings...)
}

// operations set the requests and limits of the first container, and nothing
// else: comparing the whole pod would remove every field that this program is
// too old to know.
func operations(raw []byte, first *corev1.Container) []jsonpatch.Operation {
	const resources = "/spec/containers/0/resources"
	var pod struct {
		Spec struct {
			Containers []struct {
				Resources *json.RawMessage `json:"resources"`
			} `json:"containers"`
		} `json:"spec"`
	}
	var all []jsonpatch.Operation
	if err := json.Unmarshal(raw, &pod); err != nil || len(pod.Spec.Containers) == 0 || pod.Spec.Containers[0].Resources == nil {
		all = append(all, jsonpatch.NewOperation("add", resources, map[string]any{}))
	}
	return append(all,
		jsonpatch.NewOperation("add", resources+"/limits", first.Resources.Limits),
		jsonpatch.NewOperation("add", resources+"/requests", first.Resources.Requests),
	)
}

// wanted is how many devices of each resource these networks need.
// A network that does not exist is a warning for who creates the pod.
func (h *Handler) wanted(ctx context.Context, names []types.NamespacedName) (map[corev1.ResourceName]int64, []string, error) {
	wanted := map[corev1.ResourceName]int64{}
	var warnings []string
	for _, name := range names {
		resource, err := h.resourceOf(ctx, name)
		switch {
		case apierrors.IsNotFound(err) || meta.IsNoMatchError(err):
			warnings = append(warnings, fmt.Sprintf("no device resource was added for network %s: there is no such NetworkAttachmentDefinition", name))
		case err != nil:
			return nil, nil, fmt.Errorf("getting NetworkAttachmentDefinition %s: %w", name, err)
		case resource != "":
			wanted[corev1.ResourceName(resource)]++
		}
	}
	return wanted, warnings, nil
}

func (h *Handler) resourceOf(ctx context.Context, name types.NamespacedName) (string, error) {
	nad := &nadv1.NetworkAttachmentDefinition{}
	err := h.cached.Get(ctx, name, nad)
	if apierrors.IsNotFound(err) {
		err = h.live.Get(ctx, name, nad)
	}
	return nad.Annotations[sriovv1.AnnotationResourceName], err
}
