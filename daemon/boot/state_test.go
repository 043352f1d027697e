package boot

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func state() State {
	return State{NodeIP: "192.0.2.1", KubeletSocket: "var/lib/kubelet/pod-resources/kubelet.sock", Spec: sriovv1.SriovNetworkNodeStateSpec{
		ComputedFrom: "x", Interfaces: []sriovv1.Interface{{PCIAddress: "0000:5f:00.0", NumVfs: 2, EswitchMode: "switchdev",
			VfGroups: []sriovv1.VfGroup{{ResourceName: "vfs", VfRange: sriovv1.VFRange{First: 0, Last: 1}}}}},
	}}
}

func encoded(t testing.TB, s State) []byte {
	t.Helper()
	data, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestStateIsReadBack(t *testing.T) {
	got, err := decodeState(encoded(t, state()))
	if err != nil {
		t.Fatal(err)
	}
	want := state()
	want.Version, want.Digest = StateVersion, got.Digest
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("state (-written +read):\n%s", diff)
	}
}

// A state that was changed, cut off or not written by this version is no order.
func TestStateIsStrict(t *testing.T) {
	good := string(encoded(t, state()))
	with := func(change func(*State)) string {
		s := state()
		change(&s)
		return string(encoded(t, s))
	}
	for name, tt := range map[string]struct{ data, want string }{
		"empty":          {"", "unexpected end"},
		"cut off":        {good[:len(good)/2], "unexpected end"},
		"one digit":      {strings.Replace(good, `"numVfs": 2`, `"numVfs": 3`, 1), "digest"},
		"no digest":      {`{"version": 1, "spec": {"computedFrom": "x"}}`, "digest"},
		"unknown field":  {strings.Replace(good, `"nodeIP"`, `"nodeName": "a", "nodeIP"`, 1), "unknown field"},
		"trailing":       {good + "{}", "after top-level value"},
		"newer":          {strings.Replace(good, `"version": 1`, `"version": 2`, 1), "its format is 2"},
		"too large":      {good + strings.Repeat(" ", maxState), "the most is"},
		"not computed":   {with(func(s *State) { s.Spec.ComputedFrom = "" }), "never computed"},
		"bad address":    {with(func(s *State) { s.Spec.Interfaces[0].PCIAddress = "../../x" }), "no PCI address"},
		"two parts":      {with(func(s *State) { s.Spec.Interfaces[0].PCIAddress = "a/b" }), "no PCI address"},
		"too many VFs":   {with(func(s *State) { s.Spec.Interfaces[0].NumVfs = 1 << 20 }), "numVfs"},
		"bad node IP":    {with(func(s *State) { s.NodeIP = "node-1" }), "nodeIP"},
		"socket outside": {with(func(s *State) { s.KubeletSocket = "../x" }), "kubeletSocket"},
	} {
		if _, err := decodeState([]byte(tt.data)); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// FuzzState: what is taken for a state is valid, and is written as it was read.
func FuzzState(f *testing.F) {
	f.Add(encoded(f, state()))
	f.Add([]byte(`{"version": 1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := decodeState(data)
		if err != nil {
			return
		}
		again, err := decodeState(encoded(t, s))
		if err != nil || !bytes.Equal(encoded(t, s), encoded(t, again)) {
			t.Errorf("%s\nis read back as %+v, %v", data, again, err)
		}
	})
}
