package fleet_test

import (
	"context"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

var _ = Describe("configurationMode", Ordered, func() {
	// modes are the modes in force by node, with the reason of BootReady.
	modes := func(ctx context.Context) map[string]string {
		out := map[string]string{}
		for name := range kernels {
			s := state(ctx, name)
			c := meta.FindStatusCondition(s.Status.Conditions, sriovv1.ConditionBootReady)
			if c != nil {
				out[name] = s.Status.System.ConfigurationMode + " " + string(c.Status) + " " + c.Reason
			}
		}
		return out
	}
	every := func(text string) map[string]string {
		out := map[string]string{}
		for name := range kernels {
			out[name] = text
		}
		return out
	}
	installed := func() []string {
		var out []string
		for name, k := range kernels {
			for file := range k.Files() {
				if strings.Contains(file, "sriov-offload") {
					out = append(out, name+" "+file)
				}
			}
		}
		return out
	}
	config := &sriovv1.SriovOperatorConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: sriovv1.DefaultConfigName},
		Spec:       sriovv1.SriovOperatorConfigSpec{ConfigurationMode: sriovv1.ConfigurationSystemd},
	}

	BeforeAll(func(ctx context.Context) {
		Eventually(allReported).WithContext(ctx).Should(BeEmpty())
	})

	It("is daemon on every node, and nothing is installed", func(ctx context.Context) {
		Eventually(modes).WithContext(ctx).Should(Equal(every("daemon True DaemonMode")))
		// What earlier specs wanted goes with the nodes' last turns.
		Eventually(installed).WithContext(ctx).Should(BeEmpty())
	})

	It("systemd installs units on every node and disrupts nobody", func(ctx context.Context) {
		before := map[string]string{}
		for name, k := range kernels {
			before[name] = k.Dump()
		}
		Expect(running.Client.Create(ctx, config)).To(Succeed())
		Eventually(modes).WithContext(ctx).Should(Equal(every("systemd True BootInstalled")))
		for name, k := range kernels {
			Expect(slices.Collect(maps.Keys(k.Files()))).To(ContainElements(
				"etc/systemd/system/sriov-offload-early.service", "etc/systemd/system/sriov-offload-late.service",
				"var/lib/sriov-offload-operator/boot.json", "var/lib/sriov-offload-operator/bin/sriov-offload-operator",
			), name)
			Expect(k.Dump()).To(Equal(before[name]), name)
		}
	})

	It("daemon removes it all again", func(ctx context.Context) {
		Expect(running.Client.Delete(ctx, config)).To(Succeed())
		Eventually(modes).WithContext(ctx).Should(Equal(every("daemon True DaemonMode")))
		Eventually(installed).WithContext(ctx).Should(BeEmpty())
	})
})
