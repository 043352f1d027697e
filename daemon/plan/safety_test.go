package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// TestVerify covers after which stages the node must have its connections.
func TestVerify(t *testing.T) {
	const a, b = cx0, cx1
	var (
		remove, create = plan.RemoveVFs{PF: a, Count: 1}, plan.CreateVFs{PF: a, Count: 2}
		mode, up       = plan.SetEswitchMode{PF: a, Mode: "switchdev"}, plan.SetLinkUp{PF: a}
		mtu, bind      = plan.SetMTU{PF: a, MTU: 9000}, plan.BindVF{PF: a, VF: 0}
		modeB, upB     = plan.SetEswitchMode{PF: b, Mode: "switchdev"}, plan.SetLinkUp{PF: b}
	)
	for name, c := range map[string]struct {
		stages []plan.Stage
		want   []bool
	}{
		"nothing is interrupted":          {[]plan.Stage{{up}, {bind}}, []bool{false, false}},
		"each interruption":               {[]plan.Stage{{remove}, {create}, {bind}, {mtu}}, []bool{true, true, false, true}},
		"not before the link is up again": {[]plan.Stage{{mode}, {remove}, {create}, {up}, {bind}}, []bool{false, false, false, true, false}},
		"once more while it is up":        {[]plan.Stage{{mode}, {up}, {bind}, {mtu}}, []bool{false, true, false, true}},
		"at the end, up or not":           {[]plan.Stage{{create}, {mode}, {bind}}, []bool{true, false, true}},
		"when all of them are up":         {[]plan.Stage{{mode, modeB}, {up}, {bind}, {upB}}, []bool{false, false, false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			chain := plan.Chain{PFs: []string{a, b}, Stages: c.stages}
			var got []bool
			for i := range c.stages {
				got = append(got, chain.Verify(i))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
