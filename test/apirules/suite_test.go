package apirules_test

import (
	"context"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
)

// namespace holds every object of the suite; the API server has it from the start.
const namespace = "default"

// api talks to the API server of the suite. Writes are strict: a field that the
// CRD does not know is an error.
var api client.Client

// restConfig is for what api cannot do.
var restConfig *rest.Config

func TestAPIRules(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "API rules")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	cp, err := controlplane.Start(ctx, controlplane.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(cp.Stop)

	restConfig = cp.Config
	scheme := runtime.NewScheme()
	Expect(v1.AddToScheme(scheme)).To(Succeed())
	Expect(corev1.AddToScheme(scheme)).To(Succeed())
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(cp.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	api = client.WithFieldValidation(c, metav1.FieldValidationStrict)
})

// try asks the API server whether it would create the object, and leaves in
// obj what it would store. Nothing is stored.
func try(ctx context.Context, obj *unstructured.Unstructured) error {
	return api.Create(ctx, obj, client.DryRunAll)
}

// object makes an object of this API from a spec.
func object(kind string, spec map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetGroupVersionKind(v1.GroupVersion.WithKind(kind))
	obj.SetNamespace(namespace)
	obj.SetName("object")
	return obj
}
