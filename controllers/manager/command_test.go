package manager

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNamespace(t *testing.T) {
	t.Setenv(namespaceVariable, "from-the-pod")
	if got, err := namespace("from-the-flag"); got != "from-the-flag" || err != nil {
		t.Errorf("flag and variable: %q, %v", got, err)
	}
	if got, err := namespace(""); got != "from-the-pod" || err != nil {
		t.Errorf("variable: %q, %v", got, err)
	}
	t.Setenv(namespaceVariable, "")
	if _, err := os.Stat(namespaceFile); err == nil {
		return // these tests run in a pod
	}
	if _, err := namespace(""); err == nil || !strings.Contains(err.Error(), "--namespace") {
		t.Errorf("neither: %v", err)
	}
}

func TestFlags(t *testing.T) {
	c := NewCommand()
	for name, want := range map[string]string{
		"metrics-bind-address":      ":8443",
		"metrics-secure":            "true",
		"health-probe-bind-address": ":8081",
		"leader-elect":              "false",
		"enable-http2":              "false",
		"node-state-removal-delay":  "30m0s",
		"namespace":                 "",
	} {
		if f := c.Flags().Lookup(name); f == nil || f.DefValue != want {
			t.Errorf("flag %s: %+v, want default %q", name, f, want)
		}
	}
}

func TestCommandNamesAnUnusableKubeconfig(t *testing.T) {
	c := NewCommand()
	missing := filepath.Join(t.TempDir(), "missing")
	c.SetArgs([]string{"--namespace=ns", "--kubeconfig=" + missing})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v", err)
	}
}

func TestNewNeedsANamespace(t *testing.T) {
	if _, err := New(t.Context(), Options{}); err == nil {
		t.Error("no error without a namespace")
	}
}
