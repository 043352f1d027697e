package render

import "github.com/spf13/cobra"

// NewCommand returns the subcommand render.
func NewCommand() *cobra.Command {
	var opts Options
	cmd := &cobra.Command{
		Use:   "render -f FILE|DIR...",
		Short: "Show what the manager would make of manifests, without a cluster",
		Long: `Render computes, from manifests of policies, nodes, node states, pools, networks
and the SriovOperatorConfig, what the manager would write: the spec of every node
state, the ConfigMaps of the device plugin, and the NetworkAttachmentDefinitions
of networks with what Kube-OVN needs beside them. A RenderReport at the end has every
conflict and every policy that matches nothing. The status of a node state is
the node's inventory: take it from a running cluster with

  kubectl get nodes,sriovnetworknodestates -A -o yaml

Exit code 2 means that the input has to be changed.`,
		Example: `  sriov-offload-operator render -f policies/ -f cluster.yaml
  kubectl get nodes,sns,snp -A -o yaml | sriov-offload-operator render -f - -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return invalid("unexpected argument " + args[0] + "; name files with -f")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.Stdin, opts.Notes = cmd.InOrStdin(), cmd.ErrOrStderr()
			return Run(cmd.Context(), opts, cmd.OutOrStdout())
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return invalid(err.Error()) })
	flags := cmd.Flags()
	flags.StringArrayVarP(&opts.Files, "filename", "f", nil, "file or directory with manifests, - for standard input; may be repeated")
	flags.BoolVarP(&opts.Recursive, "recursive", "R", false, "read directories recursively")
	flags.StringVarP(&opts.Output, "output", "o", OutputYAML, "yaml (one document per object) or json (one List)")
	flags.StringVarP(&opts.Namespace, "namespace", "n", "", "namespace of the operator; needed when the manifests have several")
	return cmd
}
