// Command sriov-offload-operator turns SR-IOV NICs into hardware-offloaded
// networking for Kubernetes. One binary has every part of the operator.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/sriov-offload/sriov-offload-operator/controllers/deviceplugin/await"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/controllers/render"
	"github.com/sriov-offload/sriov-offload-operator/daemon/agent"
)

// version is set by the linker.
var version = "development"

func main() {
	cmd := newCommand()
	if err := cmd.ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is the error's own if it has one.
func exitCode(err error) int {
	var own interface{ ExitCode() int }
	if errors.As(err, &own) {
		return own.ExitCode()
	}
	return render.ExitCode(err)
}

func newCommand() *cobra.Command {
	var verbosity int
	root := &cobra.Command{
		Use:           "sriov-offload-operator",
		Short:         "Turn SR-IOV NICs into hardware-offloaded networking",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			logger := newLogger(verbosity)
			ctrl.SetLogger(logger)
			klog.SetLogger(logger)
			cmd.SetContext(log.IntoContext(cmd.Context(), logger))
		},
	}
	root.PersistentFlags().IntVarP(&verbosity, "verbosity", "v", 0, "0: what was changed, 1: why, 2: everything")
	root.AddCommand(manager.NewCommand(), manager.NewCleanupCommand(), agent.NewCommand(), await.NewCommand(), render.NewCommand(), &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version)
			return err
		},
	})
	return root
}

func newLogger(verbosity int) logr.Logger {
	return zap.New(zap.Level(zapcore.Level(-verbosity)), zap.WriteTo(os.Stderr))
}
