package apirules_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	v1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// The rules in the CRDs and the parser in api/v1 are written in two languages.
// A text that only the API server takes would break the manager's and the
// daemon's informers, so they have to agree.
var _ = Describe("the API server and the parser agree on", func() {
	ranges := []string{
		"", "-", "0", "3", "00", "0-0", "0-3", "3-2", "9-10", "10-9", "0-", "-0", "-1", "01-2", "0-02", "0-1-2", "65534", "65535", "0-65534",
		"0-65535", "99999-99999", "100000", "a", "a-b", "0,1", "0-3,6", "0-3,,6", "0-3,", ",0", "0 - 3", " 0", "0 ", "+1", "0#1", "٣", "1e1",
	}

	It("VF ranges of node states", func(ctx SpecContext) {
		for _, text := range ranges {
			obj := object("SriovNetworkNodeState", map[string]any{"interfaces": []any{map[string]any{
				"pciAddress": "0000:5f:00.0", "vfGroups": []any{map[string]any{"vfRange": text}},
			}}})
			parsed, parseErr := v1.ParseVFRange(text)
			apiErr := try(ctx, obj)
			// Node states store the long form only.
			stored := parseErr == nil && parsed.String() == text
			Expect(apiErr == nil).To(Equal(stored), "%q: API server: %v, parser: %v", text, apiErr, parseErr)
		}
	})

	It("entries of pfNames", func(ctx SpecContext) {
		texts := []string{"", "#", "eth0", "eth0#", "#0", "eth 0", "eth0\t", "eth0\n#0", "eth0\u00a0", "a,b#0", "a/b", "eth0#0#1", "eth0##1"}
		for _, r := range ranges {
			texts = append(texts, "eth0#"+r)
		}
		for _, text := range texts {
			obj := changed("SriovNetworkNodePolicy", `{numVfs: 65535}`)
			obj.Object["spec"].(map[string]any)["nicSelector"] = map[string]any{"pfNames": []any{text}}
			_, parseErr := v1.ParsePFSelector(text)
			apiErr := try(ctx, obj)
			Expect(apiErr == nil).To(Equal(parseErr == nil), "%q: API server: %v, parser: %v", text, apiErr, parseErr)
		}
	})

	It("the ranges of rootDevices", func(ctx SpecContext) {
		for _, r := range ranges {
			text := "0000:3b:00.0#" + r
			obj := changed("SriovNetworkNodePolicy", `{numVfs: 65535}`)
			obj.Object["spec"].(map[string]any)["nicSelector"] = map[string]any{"rootDevices": []any{text}}
			_, parseErr := v1.ParsePFSelector(text)
			apiErr := try(ctx, obj)
			Expect(apiErr == nil).To(Equal(parseErr == nil), "%q: API server: %v, parser: %v", text, apiErr, parseErr)
		}
	})
})
