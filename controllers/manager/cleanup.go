package manager

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sriov-offload/sriov-offload-operator/controllers/drain"
	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
)

// NewCleanupCommand returns the command that lets go of what would otherwise
// wait for an operator that is not there any more.
func NewCleanupCommand() *cobra.Command {
	var kubeconfig string
	c := &cobra.Command{
		Use:   "cleanup",
		Short: "Let go of networks and nodes when the operator is uninstalled",
		Long: `Cleanup removes the operator's finalizer from all networks, so that they can be
deleted without it, and uncordons the nodes that the operator cordoned for a
drain. It does not delete anything: what was made for networks stays, with the
pods that use it. Stop the manager first, or it does its work again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := restConfig(kubeconfig)
			if err != nil {
				return err
			}
			scheme, err := NewScheme()
			if err != nil {
				return err
			}
			c, err := client.New(config, client.Options{Scheme: scheme})
			if err != nil {
				return fmt.Errorf("connecting to the API server: %w", err)
			}
			released, errNetworks := network.Release(cmd.Context(), c)
			given, errNodes := drain.GiveBack(cmd.Context(), c)
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "released %d networks, gave back %d nodes\n", released, given)
			return errors.Join(errNetworks, errNodes, err)
		},
	}
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig file (default: KUBECONFIG, else the pod's service account)")
	return c
}
