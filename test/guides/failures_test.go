package guides_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

const failuresFile = "testdata/failures/failures.txtar"

// arrow divides what happens from what a user then reads.
const arrow = "=>\n"

// TestFailures shows, for each failure signature, the words that a user reads in
// the conditions of the node. A section is the host as in TestGuides, lines "want
// FIELD VALUE" that change the policy of the Mellanox guide, and the Ready condition.
func TestFailures(t *testing.T) {
	archive, err := txtar.ParseFile(failuresFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.Files) == 0 {
		t.Fatal("no failures")
	}
	for i := range archive.Files {
		f := &archive.Files[i]
		t.Run(f.Name, func(t *testing.T) {
			given, want, _ := strings.Cut(string(f.Data), arrow)
			var got string
			synctest.Test(t, func(t *testing.T) { got = failureText(t, given) })
			if *update {
				f.Data = []byte(given + arrow + got)
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-golden +got):\n%s", diff)
			}
			if !strings.HasPrefix(got, "Ready=False ") {
				t.Errorf("it is no failure: %s", got)
			}
		})
	}
	if *update {
		if err := os.WriteFile(failuresFile, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func failureText(t *testing.T, script string) string {
	policy := sriovv1.SriovNetworkNodePolicy{}
	policy.Name = "policy"
	policy.Spec = sriovv1.SriovNetworkNodePolicySpec{
		ResourceName: "cx5_sriov_switchdev", NumVfs: 2, EswitchMode: sriovv1.EswitchModeSwitchdev,
		NodeSelector: map[string]string{}, NicSelector: sriovv1.NicSelector{RootDevices: []string{"0000:5f:00.0"}},
	}
	var host strings.Builder
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "want" {
			host.WriteString(line)
			continue
		}
		if err := set(&policy.Spec, words[1], words[2:]); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	p := &play{t: t, ctx: t.Context(), policies: []sriovv1.SriovNetworkNodePolicy{policy}}
	p.prepare(host.String())
	defer p.k.Close()
	_, status := p.act()
	ready, _, _ := strings.Cut(status, "\n")
	return ready + "\n"
}

func set(spec *sriovv1.SriovNetworkNodePolicySpec, field string, values []string) error {
	switch field {
	case "pf":
		spec.NicSelector.RootDevices = values
	case "numVfs":
		n, err := strconv.Atoi(values[0])
		spec.NumVfs = n
		return err
	case "mtu":
		n, err := strconv.Atoi(values[0])
		spec.MTU = n
		return err
	case "mode":
		spec.EswitchMode = values[0]
	case "steering":
		spec.FlowSteeringMode = values[0]
	case "deviceType":
		spec.DeviceType = values[0]
	default:
		return errors.New("no such field")
	}
	return nil
}
