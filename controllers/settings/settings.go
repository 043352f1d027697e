package settings

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Settings of the operator.
type Settings struct {
	// ResourcePrefix of resources whose policy sets none.
	ResourcePrefix string
	// DaemonNodes selects the nodes that run the daemon, by equality on every
	// label. Empty: every node that is not known to run something else than Linux.
	DaemonNodes map[string]string
	// Systemd tells that nodes are configured at boot too, by units of their own.
	Systemd bool
	// DisableDrain lets disruptive plans run without moving pods away.
	DisableDrain bool
}

// Get reads the settings of the operator in a namespace.
func Get(ctx context.Context, c client.Reader, namespace string) (Settings, error) {
	config := &sriovv1.SriovOperatorConfig{}
	key := client.ObjectKey{Namespace: namespace, Name: sriovv1.DefaultConfigName}
	if err := c.Get(ctx, key, config, client.UnsafeDisableDeepCopy); client.IgnoreNotFound(err) != nil {
		return Settings{}, fmt.Errorf("getting SriovOperatorConfig %s: %w", key, err)
	} else if apierrors.IsNotFound(err) {
		return From(nil), nil
	}
	return From(config), nil
}

// From fills in defaults; nil is no config at all.
func From(config *sriovv1.SriovOperatorConfig) Settings {
	s := Settings{ResourcePrefix: sriovv1.DefaultResourcePrefix}
	if config == nil {
		return s
	}
	if config.Spec.ResourcePrefix != "" {
		s.ResourcePrefix = config.Spec.ResourcePrefix
	}
	s.DaemonNodes = config.Spec.ConfigDaemonNodeSelector
	s.DisableDrain = config.Spec.DisableDrain
	s.Systemd = config.Spec.ConfigurationMode == sriovv1.ConfigurationSystemd
	return s
}

// RunsDaemon tells whether the daemon runs on a node with these labels, so that
// the node has a node state.
//
// The label network-sriov.capable is no part of the default: it is a result of
// the inventory, which needs the daemon.
func (s Settings) RunsDaemon(node map[string]string) bool {
	if len(s.DaemonNodes) > 0 {
		return labels.SelectorFromSet(s.DaemonNodes).Matches(labels.Set(node))
	}
	os, labelled := node[corev1.LabelOSStable]
	return !labelled || os == "linux"
}
