package v1_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func TestParseVFRange(t *testing.T) {
	good := map[string]v1.VFRange{
		"0":           {First: 0, Last: 0},
		"3":           {First: 3, Last: 3},
		"0-0":         {First: 0, Last: 0},
		"0-3":         {First: 0, Last: 3},
		"9-10":        {First: 9, Last: 10},
		"65534":       {First: 65534, Last: 65534},
		"0-65534":     {First: 0, Last: 65534},
		"65533-65534": {First: 65533, Last: 65534},
	}
	for text, want := range good {
		got, err := v1.ParseVFRange(text)
		if err != nil {
			t.Errorf("ParseVFRange(%q): %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseVFRange(%q) (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range badRanges() {
		_, err := v1.ParseVFRange(text)
		if err == nil {
			t.Errorf("ParseVFRange(%q) accepts it", text)
			continue
		}
		if !strings.Contains(err.Error(), "VF range ") {
			t.Errorf("ParseVFRange(%q): the error does not say what was parsed: %v", text, err)
		}
	}
}

// badRanges are texts that no parser of VF ranges may accept.
func badRanges() []string {
	return []string{
		"", "-", "0-", "-0", "-1", "0--1", "0-1-2", "3-2", "65535", "0-65535", "65536", "99999", "0-18446744073709551616",
		"00", "01", "00-3", "0-03", "+1", "0-+1", " 0", "0 ", "0 - 3", "0x1", "1_0", "a", "a-b", "0-b", "0,1", "0#1", "٣", "0–3", "1.0", "1e1",
	}
}

func TestVFRangeSets(t *testing.T) {
	r := v1.VFRange{First: 2, Last: 5}
	for index, want := range map[int]bool{1: false, 2: true, 3: true, 5: true, 6: false} {
		if got := r.Contains(index); got != want {
			t.Errorf("%v.Contains(%d) = %t, want %t", r, index, got, want)
		}
	}
	for other, want := range map[v1.VFRange]bool{
		{First: 0, Last: 1}: false, {First: 0, Last: 2}: true, {First: 3, Last: 4}: true,
		{First: 0, Last: 9}: true, {First: 5, Last: 5}: true, {First: 6, Last: 9}: false,
	} {
		if got := r.Overlaps(other); got != want {
			t.Errorf("%v.Overlaps(%v) = %t, want %t", r, other, got, want)
		}
		if got := other.Overlaps(r); got != want {
			t.Errorf("%v.Overlaps(%v) = %t, want %t", other, r, got, want)
		}
	}
	if got := r.Len(); got != 4 {
		t.Errorf("%v.Len() = %d, want 4", r, got)
	}
}

func TestVFRangeJSON(t *testing.T) {
	group := v1.VfGroup{ResourceName: "cx", VfRange: v1.VFRange{First: 0, Last: 2}, PolicyName: "policy"}
	data, err := json.Marshal(group)
	if err != nil {
		t.Fatalf("marshalling a VF group: %v", err)
	}
	want := `{"resourceName":"cx","vfRange":"0-2","policyName":"policy"}`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("JSON of a VF group (-want +got):\n%s", diff)
	}
	var back v1.VfGroup
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatalf("unmarshalling %s: %v", data, err)
	}
	if diff := cmp.Diff(group, back); diff != "" {
		t.Errorf("VF group after a round trip (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"vfRange":"3-1"}`), &back); err == nil {
		t.Error("unmarshalling accepts the VF range 3-1")
	}
}

func TestParsePFSelector(t *testing.T) {
	good := map[string]v1.PFSelector{
		"ens41f0np0":              {Name: "ens41f0np0"},
		"ens41f0np0#0-3":          {Name: "ens41f0np0", Ranges: []v1.VFRange{{First: 0, Last: 3}}},
		"ens41f0np0#6":            {Name: "ens41f0np0", Ranges: []v1.VFRange{{First: 6, Last: 6}}},
		"ens41f0np0#0-3,6,8-9":    {Name: "ens41f0np0", Ranges: []v1.VFRange{{First: 0, Last: 3}, {First: 6, Last: 6}, {First: 8, Last: 9}}},
		"0000:3b:00.0#0-1":        {Name: "0000:3b:00.0", Ranges: []v1.VFRange{{First: 0, Last: 1}}},
		"eth-0.100":               {Name: "eth-0.100"},
		"enp3s0f0,with,comma#0-1": {Name: "enp3s0f0,with,comma", Ranges: []v1.VFRange{{First: 0, Last: 1}}},
	}
	for text, want := range good {
		got, err := v1.ParsePFSelector(text)
		if err != nil {
			t.Errorf("ParsePFSelector(%q): %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParsePFSelector(%q) (-want +got):\n%s", text, diff)
		}
	}
	bad := []string{"", "#", "#0-3", "a#", "a#,", "a#0,", "a#,0", "a#0,,1", "a#0-1#2", "a##0", "a b", "a b#0", "\ta", "a#0 ,1"}
	for _, r := range badRanges() {
		if r != "0,1" { // two good ranges once it follows a name
			bad = append(bad, "a#"+r)
		}
	}
	for _, text := range bad {
		if got, err := v1.ParsePFSelector(text); err == nil {
			t.Errorf("ParsePFSelector(%q) = %+v, want an error", text, got)
		}
	}
}

func FuzzParsePFSelector(f *testing.F) {
	for _, seed := range append(badRanges(), "a", "a#0-3", "0000:3b:00.0#0-3,6", "a#65534", "a#0-1#2") {
		f.Add(seed)
		f.Add("a#" + seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sel, err := v1.ParsePFSelector(text)
		if err != nil {
			return
		}
		if sel.Name == "" || !strings.HasPrefix(text, sel.Name) {
			t.Errorf("ParsePFSelector(%q).Name = %q", text, sel.Name)
		}
		for _, r := range sel.Ranges {
			if r.First < 0 || r.Last < r.First || r.Last > v1.MaxVFIndex {
				t.Errorf("ParsePFSelector(%q) has the range %+v", text, r)
			}
		}
		again, err := v1.ParsePFSelector(sel.String())
		if err != nil {
			t.Fatalf("ParsePFSelector(%q), printed from %q: %v", sel.String(), text, err)
		}
		if diff := cmp.Diff(sel, again); diff != "" {
			t.Errorf("selector %q after a round trip (-want +got):\n%s", text, diff)
		}
	})
}

func FuzzVFRangeText(f *testing.F) {
	for _, seed := range append(badRanges(), "0", "0-3", "65533-65534") {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := v1.ParseVFRange(text)
		if err != nil {
			return
		}
		if strings.Contains(text, "-") && r.String() != text {
			t.Errorf("ParseVFRange(%q).String() = %q: one range has two spellings", text, r)
		}
		stored, err := r.MarshalText()
		if err != nil {
			t.Fatalf("marshalling %q: %v", text, err)
		}
		var back v1.VFRange
		if err := back.UnmarshalText(stored); err != nil {
			t.Fatalf("unmarshalling %q: %v", stored, err)
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Errorf("range %q after a round trip (-want +got):\n%s", text, diff)
		}
	})
}
