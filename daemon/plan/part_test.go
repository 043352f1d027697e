package plan_test

import (
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// stepsOf writes down the steps of a plan's chains.
func stepsOf(p plan.Plan) []string {
	var out []string
	for _, s := range p.Steps() {
		out = append(out, s.String())
	}
	return out
}

// Whatever there is to do: the early part binds no VF and lets the kernel bind
// none, the late part makes and removes none, and nothing is in neither of them
// but what follows a step of making.
func TestParts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	made := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in, _ := inputOf(t, archive)
		in.Unbound = true
		whole := plan.Compute(in)
		if p := whole.Late(); len(p.WithoutMachine().Chains) != len(p.Chains) {
			t.Errorf("%s: work on the machine is in the late part", file)
		}
		whole = whole.WithoutMachine()
		t.Run(filepath.Base(file), func(t *testing.T) {
			checkParts(t, whole)
		})
		for _, c := range whole.Chains {
			made += c.Parts.Made
		}
	}
	if made == 0 {
		t.Error("no scenario makes anything")
	}
}

func checkParts(t *testing.T, whole plan.Plan) {
	t.Helper()
	early, late := whole.Early(), whole.Late()
	autoprobe := map[string]bool{}
	for _, s := range early.Steps() {
		switch s := s.(type) {
		case plan.BindVF, plan.SetVFOverride, plan.SetVFMTU, plan.SetVFAdminMAC:
			t.Errorf("the early part has %s", s)
		case plan.SetAutoprobe:
			autoprobe[s.PF] = s.On
		case plan.CreateVFs:
			// It is turned off, unless it was off.
			if autoprobe[s.PF] {
				t.Errorf("the kernel binds what %s makes", s)
			}
		}
	}
	for _, s := range late.Steps() {
		switch s.(type) {
		case plan.RemoveVFs, plan.CreateVFs, plan.SetEswitchMode, plan.SetSteeringMode, plan.SetInlineMode:
			t.Errorf("the late part has %s", s)
		}
	}
	for _, c := range whole.Chains {
		one := plan.Plan{Chains: []plan.Chain{c}}
		e, l, all := stepsOf(one.Early()), stepsOf(one.Late()), stepsOf(one)
		if !slices.Equal(e, all[:len(e)]) {
			t.Errorf("the early part is no beginning of the chain: %q of %q", e, all)
		}
		if c.Parts.Made > 0 && len(l) > 0 || c.Parts.Made == 0 && !slices.Equal(l, all) {
			t.Errorf("the late part of a chain with %+v is %q of %q", c.Parts, l, all)
		}
	}
}

// On a machine that has just booted, VFs are made without drivers even where the
// kernel could bind them at once, and bound afterwards.
func TestUnbound(t *testing.T) {
	archive := txtar.Parse([]byte(`
-- machine --
nic igb
-- spec.yaml --
computedFrom: test
interfaces:
- pciAddress: "0000:01:00.0"
  numVfs: 2
  vfGroups: [{vfRange: 0-1, resourceName: vfs}]
`))
	in, _ := inputOf(t, archive)
	binds := []string{"0000:01:00.0: bind VF 0 to its kernel driver", "0000:01:00.0: bind VF 1 to its kernel driver"}
	bound := append([]string{"0000:01:00.0: create 2 VFs"}, binds...)
	if got := onPFs(plan.Compute(in)); !slices.Equal(got, bound) {
		t.Errorf("steps are %q, want %q", got, bound)
	}
	in.Unbound = true
	early := []string{"0000:01:00.0: turn autoprobe of VFs off", "0000:01:00.0: create 2 VFs"}
	if got := onPFs(plan.Compute(in).Early()); !slices.Equal(got, early) {
		t.Errorf("early steps are %q, want %q", got, early)
	}
	whole := slices.Concat(early, []string{"0000:01:00.0: turn autoprobe of VFs on"}, binds)
	if got := onPFs(plan.Compute(in)); !slices.Equal(got, whole) {
		t.Errorf("all steps are %q, want %q", got, whole)
	}
}

// onPFs are the steps of a plan without those on the host's files.
func onPFs(p plan.Plan) []string {
	p.Chains = slices.DeleteFunc(slices.Clone(p.Chains), func(c plan.Chain) bool { return c.OfNode() })
	return stepsOf(p)
}
