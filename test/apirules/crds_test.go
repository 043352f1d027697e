package apirules_test

import (
	"context"
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// columns are printer column titles: those that kubectl always prints, and those of -o wide.
type columns struct {
	always, wide []string
}

var _ = Describe("a CRD", func() {
	DescribeTable("has its names, category, scope, status and columns",
		func(ctx SpecContext, plural, shortName string, want columns) {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			Expect(api.Get(ctx, client.ObjectKey{Name: plural + "." + v1.Group}, crd)).To(Succeed())
			Expect(crd.Spec.Scope).To(Equal(apiextensionsv1.NamespaceScoped))
			Expect(crd.Spec.Names.ShortNames).To(Equal([]string{shortName}))
			Expect(crd.Spec.Names.Categories).To(Equal([]string{"sriov"}))
			Expect(crd.Spec.Versions).To(HaveLen(1))
			version := crd.Spec.Versions[0]
			Expect(version.Subresources.Status).NotTo(BeNil())
			got := columns{}
			for _, c := range version.AdditionalPrinterColumns {
				if c.Priority == 0 {
					got.always = append(got.always, c.Name)
				} else {
					got.wide = append(got.wide, c.Name)
				}
			}
			Expect(got).To(Equal(want))
			expectConditions(version.Schema.OpenAPIV3Schema)
		},
		Entry(nil, "sriovnetworknodepolicies", "snp", columns{
			always: []string{"NODES", "READY-NODES", "READY", "REASON", "AGE"}, wide: []string{"RESOURCE", "VFS", "ESWITCH", "PRIORITY"}}),
		Entry(nil, "sriovnetworknodestates", "sns", columns{
			always: []string{"READY", "REASON", "VFS", "OFFLOAD", "DISRUPTION", "AGE"}, wide: []string{"SYNC", "MESSAGE"}}),
		Entry(nil, "sriovnetworks", "sn", columns{
			always: []string{"RESOURCE", "READY", "REASON", "AGE"}, wide: []string{"NETWORK-NAMESPACE", "VLAN", "MESSAGE"}}),
		Entry(nil, "sriovibnetworks", "sibn", columns{
			always: []string{"RESOURCE", "READY", "REASON", "AGE"}, wide: []string{"NETWORK-NAMESPACE", "MESSAGE"}}),
		Entry(nil, "ovsnetworks", "ovsn", columns{
			always: []string{"RESOURCE", "READY", "REASON", "AGE"}, wide: []string{"NETWORK-NAMESPACE", "BRIDGE", "VLAN", "MESSAGE"}}),
		Entry(nil, "offloadnetworks", "onet", columns{
			always: []string{"CNI", "RESOURCE", "READY", "REASON", "AGE"}, wide: []string{"MODE", "NETWORK-NAMESPACE", "MESSAGE"}}),
		Entry(nil, "sriovoperatorconfigs", "soc", columns{
			always: []string{"READY", "REASON", "AGE"}, wide: []string{"MODE", "PREFIX", "MESSAGE"}}),
		Entry(nil, "sriovnetworkpoolconfigs", "snpc", columns{
			always: []string{"MAX-UNAVAILABLE", "APPROVAL", "READY", "REASON", "DRAINING", "WAITING", "AGE"}, wide: []string{"RDMA", "MESSAGE"}}),
	)

	It("prints the VFs of all PFs of a node", func(ctx SpecContext) {
		state := &v1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: "two-pfs", Namespace: namespace}}
		Expect(api.Create(ctx, state)).To(Succeed())
		state.Status = v1.SriovNetworkNodeStateStatus{
			NumVfs: 7,
			Interfaces: []v1.InterfaceStatus{
				{PCIAddress: "0000:5f:00.0", NumVfs: 3, TotalVfs: 8},
				{PCIAddress: "0000:5f:00.1", NumVfs: 4, TotalVfs: 8},
			},
		}
		Expect(api.Status().Update(ctx, state)).To(Succeed())
		Expect(printed(ctx, "sriovnetworknodestates", state.Name)).To(HaveKeyWithValue("VFS", BeEquivalentTo(7)))
	})

	It("prints what a ready policy says", func(ctx SpecContext) {
		obj := changed("SriovNetworkNodePolicy", `{numVfs: 2}`)
		obj.SetName("printed")
		Expect(api.Create(ctx, obj)).To(Succeed())
		policy := &v1.SriovNetworkNodePolicy{}
		Expect(api.Get(ctx, client.ObjectKeyFromObject(obj), policy)).To(Succeed())
		policy.Status = v1.SriovNetworkNodePolicyStatus{MatchedNodes: 2, ReadyNodes: 1, Conditions: []metav1.Condition{{
			Type: v1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1.ReasonNodesPending, LastTransitionTime: metav1.Now(),
		}}}
		Expect(api.Status().Update(ctx, policy)).To(Succeed())
		Expect(printed(ctx, "sriovnetworknodepolicies", policy.Name)).To(And(
			HaveKeyWithValue("NODES", BeEquivalentTo(2)), HaveKeyWithValue("READY-NODES", BeEquivalentTo(1)),
			HaveKeyWithValue("READY", "False"), HaveKeyWithValue("REASON", v1.ReasonNodesPending),
			HaveKeyWithValue("RESOURCE", "cx"), HaveKeyWithValue("VFS", BeEquivalentTo(2)),
		))
	})
})

// expectConditions checks that the schema has conditions as the API conventions want them.
func expectConditions(schema *apiextensionsv1.JSONSchemaProps) {
	GinkgoHelper()
	status, ok := schema.Properties["status"]
	Expect(ok).To(BeTrue())
	Expect(status.Properties).To(HaveKey("observedGeneration"))
	conditions, ok := status.Properties["conditions"]
	Expect(ok).To(BeTrue())
	Expect(conditions.XListType).To(HaveValue(Equal("map")))
	Expect(conditions.XListMapKeys).To(Equal([]string{"type"}))
	Expect(conditions.Items.Schema.Required).To(ConsistOf("lastTransitionTime", "message", "reason", "status", "type"))
}

// printed is the row that kubectl prints for an object, by column title.
func printed(ctx context.Context, plural, name string) map[string]any {
	GinkgoHelper()
	config := rest.CopyConfig(restConfig)
	config.GroupVersion = &v1.GroupVersion
	config.APIPath = "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	c, err := rest.RESTClientFor(config)
	Expect(err).NotTo(HaveOccurred())
	raw, err := c.Get().Namespace(namespace).Resource(plural).Name(name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	table := metav1.Table{}
	Expect(json.Unmarshal(raw, &table)).To(Succeed())
	Expect(table.Rows).To(HaveLen(1))
	row := map[string]any{}
	for i, column := range table.ColumnDefinitions {
		row[column.Name] = table.Rows[0].Cells[i]
	}
	return row
}
