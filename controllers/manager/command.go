package manager

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/sriov-offload/sriov-offload-operator/controllers/drain"
	"github.com/sriov-offload/sriov-offload-operator/controllers/injector"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=system,resources=leases,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups="",namespace=system,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

const (
	// namespaceVariable is set from the pod's own namespace in our manifests.
	namespaceVariable = "POD_NAMESPACE"
	// operatorImageVariable and pluginImageVariable name images, as a mirror of
	// them for a cluster without a way out does.
	operatorImageVariable = "RELATED_IMAGE_OPERATOR"
	pluginImageVariable   = "RELATED_IMAGE_DEVICE_PLUGIN"
	// podVariable is set to the pod's own name in our manifests.
	podVariable = "POD_NAME"
	// namespaceFile is in every pod with a service account.
	namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
)

// NewCommand returns the command that runs the manager until its context ends.
func NewCommand() *cobra.Command {
	var o Options
	var kubeconfig string
	c := &cobra.Command{
		Use:   "manager",
		Short: "Run the controllers of the cluster",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Namespace, err = namespace(o.Namespace); err != nil {
				return err
			}
			o.PodName = os.Getenv(podVariable)
			if o.Config, err = restConfig(kubeconfig); err != nil {
				return err
			}
			return Run(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig file (default: KUBECONFIG, else the pod's service account)")
	f.StringVar(&o.Namespace, "namespace", "", "namespace of the operator and its objects (default: "+namespaceVariable+", else the pod's own)")
	f.BoolVar(&o.LeaderElection, "leader-elect", false, "let one of several managers work at a time")
	f.DurationVar(&o.RemovalDelay, "node-state-removal-delay", DefaultRemovalDelay, "how long the state of a node that left is kept")
	f.DurationVar(&o.DrainRetryDelay, "drain-retry-delay", drain.DefaultRetryDelay, "how long a node waits after its first drain that took too long; twice as long after each further one, up to an hour")
	f.StringVar(&o.MetricsBindAddress, "metrics-bind-address", ":8443", `address of the metrics endpoint, "0" for none`)
	f.BoolVar(&o.MetricsSecure, "metrics-secure", true, "serve metrics by HTTPS, to those who may read them")
	f.StringVar(&o.MetricsCertPath, "metrics-cert-path", "", "folder with tls.crt and tls.key of the metrics endpoint (default: self-signed)")
	f.BoolVar(&o.EnableHTTP2, "enable-http2", false, "serve metrics and webhooks by HTTP/2 too")
	f.BoolVar(&o.EnableInjector, "enable-injector", false, "serve the webhook that gives pods the resources that their network annotations ask for")
	f.StringVar(&o.MultusNamespace, "multus-namespace", injector.DefaultMultusNamespace, "namespace where Multus looks for a default network that is named without one")
	f.StringVar(&o.WebhookHost, "webhook-host", "", "address where webhooks are served (default: all)")
	f.IntVar(&o.WebhookPort, "webhook-port", 9443, "port where webhooks are served")
	f.StringVar(&o.WebhookCertPath, "webhook-cert-path", "", "folder with tls.crt and tls.key of the webhooks")
	f.StringVar(&o.Images.Operator, "operator-image", os.Getenv(operatorImageVariable), "image of this release, for what is deployed on nodes (default: "+operatorImageVariable+"); without it nothing is deployed")
	f.StringVar(&o.Images.DevicePlugin, "device-plugin-image", os.Getenv(pluginImageVariable), "image of sriov-network-device-plugin (default: "+pluginImageVariable+"); without it the plugin is not deployed")
	f.StringVar(&o.ProbeBindAddress, "health-probe-bind-address", ":8081", `address of /healthz and /readyz, "0" for none`)
	return c
}

func namespace(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if ns := os.Getenv(namespaceVariable); ns != "" {
		return ns, nil
	}
	data, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", fmt.Errorf("finding the operator's namespace outside a pod: set --namespace or %s: %w", namespaceVariable, err)
	}
	return strings.TrimSpace(string(data)), nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		c, err := ctrl.GetConfig()
		if err != nil {
			return nil, fmt.Errorf("finding the API server: %w", err)
		}
		return c, nil
	}
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading kubeconfig %s: %w", kubeconfig, err)
	}
	return c, nil
}
