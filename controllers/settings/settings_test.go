package settings_test

import (
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

func TestFrom(t *testing.T) {
	for name, config := range map[string]*sriovv1.SriovOperatorConfig{"none": nil, "empty": {}} {
		if got := settings.From(config).ResourcePrefix; got != sriovv1.DefaultResourcePrefix {
			t.Errorf("%s config: prefix %q", name, got)
		}
	}
	set := &sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{ResourcePrefix: "mellanox.com"}}
	if got := settings.From(set).ResourcePrefix; got != "mellanox.com" {
		t.Errorf("prefix %q", got)
	}
}

func TestConfigurationMode(t *testing.T) {
	for mode, want := range map[string]bool{"": false, "daemon": false, "systemd": true} {
		config := &sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{ConfigurationMode: mode}}
		if got := settings.From(config).Systemd; got != want {
			t.Errorf("mode %q: systemd %t, want %t", mode, got, want)
		}
	}
	if settings.From(nil).Systemd {
		t.Error("systemd is the default")
	}
}

func TestRunsDaemon(t *testing.T) {
	type labels = map[string]string
	tests := []struct {
		selector, node labels
		want           bool
	}{
		{nil, nil, true},
		{nil, labels{"kubernetes.io/os": "linux"}, true},
		{nil, labels{"kubernetes.io/os": "windows"}, false},
		{labels{"a": "b"}, labels{"a": "b", "c": "d"}, true},
		{labels{"a": "b"}, labels{"a": "x"}, false},
		{labels{"a": "b"}, nil, false},
		{labels{}, nil, true},
	}
	for _, test := range tests {
		if got := (settings.Settings{DaemonNodes: test.selector}).RunsDaemon(test.node); got != test.want {
			t.Errorf("selector %v, node %v: %v, want %v", test.selector, test.node, got, test.want)
		}
	}
}
