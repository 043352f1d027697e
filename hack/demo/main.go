package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

// patience is how long the nodes, or a network, may take on a busy machine.
const patience = 3 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop was called by hand
	}
}

func run(ctx context.Context) error {
	scene, err := scenarioNamed(os.Getenv("SCENARIO"))
	if err != nil {
		return err
	}
	setLogger()
	say("starting a control plane (etcd and kube-apiserver)")
	cp, err := controlplane.Start(ctx, scene.controlPlane())
	if err != nil {
		return err
	}
	err = scene.runOn(ctx, cp)
	return errors.Join(err, cp.Stop())
}

func (s *scenario) runOn(ctx context.Context, cp *controlplane.ControlPlane) error {
	nodes := s.nodes()
	defer func() {
		for _, n := range nodes {
			n.Kernel.Close()
		}
	}()
	policy, err := loadPolicy(s.policy)
	if err != nil {
		return err
	}
	say("starting the manager and " + s.machines)
	o := fleet.Options{Config: cp.Config, Namespace: policy.Namespace, Nodes: nodes}
	if s.attach != nil {
		if o.Injector, err = s.attach.prepare(ctx, cp); err != nil {
			return err
		}
	}
	f, err := fleet.Start(ctx, o)
	if err != nil {
		return err
	}
	err = s.show(ctx, cp, f, nodes, policy)
	return errors.Join(err, f.Stop())
}

func (s *scenario) show(ctx context.Context, cp *controlplane.ControlPlane, f *fleet.Fleet, nodes []fleet.Node, policy *sriovv1.SriovNetworkNodePolicy) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: policy.Namespace}}
	if err := f.Client.Create(ctx, namespace); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("creating the policy's namespace: %w", err)
	}
	began := time.Now()
	say(s.title + ": " + s.policy)
	if err := f.Client.Create(ctx, policy); err != nil {
		return fmt.Errorf("applying the policy: %w", err)
	}
	v := view{fleet: f, nodes: nodes, policy: policy, ready: s.ready}
	if err := v.watch(ctx); err != nil {
		return err
	}
	say(fmt.Sprintf("converged in %.1f s", time.Since(began).Seconds()))
	if err := v.printResult(ctx); err != nil {
		return err
	}
	if s.attach != nil {
		if err := s.attach.show(ctx, cp, f); err != nil {
			return err
		}
	}
	return goOn(ctx, cp, policy)
}

// goOn tells how to look around, and waits when KEEP=1.
func goOn(ctx context.Context, cp *controlplane.ControlPlane, policy *sriovv1.SriovNetworkNodePolicy) error {
	if os.Getenv("KEEP") != "1" {
		say("to look around with kubectl, keep it running: KEEP=1 make demo")
		return nil
	}
	data, err := cp.Kubeconfig()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "sriov-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	fmt.Printf(`
  export KUBECONFIG=%s
  bin/k8s/kubectl get sriov -A
  bin/k8s/kubectl -n %s get sns node1 -o yaml
  bin/k8s/kubectl -n %s patch snp %s --type merge -p '{"spec":{"numVfs":2}}'

`, file, policy.Namespace, policy.Namespace, policy.Name)
	say("running until interrupted (Ctrl-C)")
	<-ctx.Done()
	return nil
}

func loadPolicy(name string) (*sriovv1.SriovNetworkNodePolicy, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	policy := &sriovv1.SriovNetworkNodePolicy{}
	if err := yaml.UnmarshalStrict(data, policy); err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", name, err)
	}
	return policy, nil
}

// printResult shows what the API server holds in the end.
func (v *view) printResult(ctx context.Context) error {
	for _, node := range v.nodes {
		state := &sriovv1.SriovNetworkNodeState{}
		if err := v.fleet.Client.Get(ctx, client.ObjectKey{Namespace: v.policy.Namespace, Name: node.Name}, state); err != nil {
			return err
		}
		if err := printYAML("SriovNetworkNodeState "+node.Name, map[string]any{"spec": state.Spec, "status": state.Status}); err != nil {
			return err
		}
	}
	configMap, err := v.devicePluginConfig(ctx)
	if err != nil {
		return err
	}
	say("ConfigMap device-plugin-config-" + v.nodes[0].Name + ", config.json")
	fmt.Println(configMap)
	if err := v.fleet.Client.Get(ctx, client.ObjectKeyFromObject(v.policy), v.policy); err != nil {
		return err
	}
	return printYAML("status of the policy", v.policy.Status)
}

func printYAML(title string, v any) error {
	data, err := yaml.Marshal(v)
	if err != nil {
		return err
	}
	say(title)
	fmt.Println(string(data))
	return nil
}

func say(text string) { fmt.Println("==>", text) }

// setLogger keeps the components quiet unless VERBOSE=1.
func setLogger() {
	logger := logr.Discard()
	if os.Getenv("VERBOSE") == "1" {
		logger = zap.New(zap.WriteTo(os.Stderr))
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	klog.LogToStderr(false)
}

// readyCondition returns the Ready condition, Unknown if there is none.
func readyCondition(conditions []metav1.Condition) metav1.Condition {
	for _, c := range conditions {
		if c.Type == sriovv1.ConditionReady {
			return c
		}
	}
	return metav1.Condition{Status: metav1.ConditionUnknown, Reason: sriovv1.ReasonUnknown}
}
