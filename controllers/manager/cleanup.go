package manager

import (
	"fmt"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
)

// NewCleanupCommand returns the command that lets go of what would otherwise
// wait for an operator that is not there any more.
func NewCleanupCommand() *cobra.Command {
	var kubeconfig string
	c := &cobra.Command{
		Use:   "cleanup",
		Short: "Let go of networks when the operator is uninstalled",
		Long: `Cleanup removes the operator's finalizer from all networks, so that they can be
deleted without it. It does not delete anything: what was made for networks
stays, with the pods that use it. Stop the manager first, or it sets the
finalizers again.`,
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
			released, err := network.Release(cmd.Context(), c)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "released %d networks\n", released)
			return err
		},
	}
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig file (default: KUBECONFIG, else the pod's service account)")
	return c
}
