package await

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
)

// NewCommand returns the command that the init container of the device plugin runs.
func NewCommand() *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:   "device-plugin-config",
		Short: "Wait until this node is configured, then write the file of its device plugin",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Node == "":
				return errors.New("--node is not set: give it, or the environment variable NODE_NAME")
			case o.Namespace == "":
				return errors.New("--namespace is not set: give it, or the environment variable POD_NAMESPACE")
			}
			var err error
			if o.Config, err = ctrl.GetConfig(); err != nil {
				return fmt.Errorf("finding the API server: %w", err)
			}
			return Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Node, "node", os.Getenv("NODE_NAME"), "name of the node; default: environment variable NODE_NAME")
	f.StringVar(&o.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the operator; default: environment variable POD_NAMESPACE")
	f.StringVar(&o.File, "file", "/etc/pcidp/config.json", "file to write")
	return cmd
}
