package guides_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
	"github.com/sriov-offload/sriov-offload-operator/daemon/agent"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

var update = flag.Bool("update", false, "rewrite what comes out")

// TestGuides carries out the scenarios in testdata. A file has, for each of its
// acts 1, 2, ...:
//
//	1.host           what happens to the machine before, one command a line
//	1.policies.yaml  the policies from then on
//	1.steps          the steps, turn by turn
//	1.machine        the machine afterwards
//	1.status         conditions, blockers and bonds of the node, and conflicts of policies
func TestGuides(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playFile(t, file) })
		})
	}
}

func playFile(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := &play{t: t, ctx: t.Context()}
	out := &txtar.Archive{Comment: archive.Comment}
	for act := 1; ; act++ {
		host, policies := section(archive, act, "host"), section(archive, act, "policies.yaml")
		if host == nil && policies == nil {
			if act == 1 {
				t.Fatalf("%s has no act 1", file)
			}
			break
		}
		p.prepare(string(host))
		if policies != nil {
			p.policies = decode(t, policies)
		}
		steps, status := p.act()
		add(out, act, "host", string(host))
		if policies != nil {
			add(out, act, "policies.yaml", string(policies))
		}
		add(out, act, "steps", steps)
		add(out, act, "machine", p.k.Dump())
		add(out, act, "status", status)
	}
	if f := p.k.Forbidden(); len(f) > 0 {
		t.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	p.k.Close()
	if *update {
		if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(out))); diff != "" {
		t.Errorf("%s (-golden +got):\n%s", file, diff)
	}
}

func section(a *txtar.Archive, act int, name string) []byte {
	i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == fmt.Sprintf("%d.%s", act, name) })
	if i < 0 {
		return nil
	}
	return a.Files[i].Data
}

func add(a *txtar.Archive, act int, name, data string) {
	a.Files = append(a.Files, txtar.File{Name: fmt.Sprintf("%d.%s", act, name), Data: []byte(data)})
}

func decode(t *testing.T, data []byte) []sriovv1.SriovNetworkNodePolicy {
	t.Helper()
	reader := utilyaml.NewYAMLReader(newReader(data))
	var out []sriovv1.SriovNetworkNodePolicy
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		var policy sriovv1.SriovNetworkNodePolicy
		if err := yaml.UnmarshalStrict(document, &policy); err != nil {
			t.Fatal(err)
		}
		out = append(out, policy)
	}
}

// play is a machine and what the cluster knows of it.
type play struct {
	t        *testing.T
	ctx      context.Context
	k        *simhost.Kernel
	policies []sriovv1.SriovNetworkNodePolicy
	state    sriovv1.SriovNetworkNodeState
}

// turns is how many turns an act may take.
const turns = 12

// act takes turns until two in a row have nothing to do, or the same failure has
// come back.
func (p *play) act() (steps, status string) {
	var b strings.Builder
	idle, failed := 0, ""
	for turn := 1; ; turn++ {
		if turn > turns {
			p.t.Fatalf("not settled after %d turns:\n%s", turns, b.String())
		}
		p.k.Settle()
		done, failure := p.turn()
		if done != "" {
			fmt.Fprintf(&b, "turn %d\n%s", turn, done)
		}
		switch {
		case failure != "" && failure == failed:
			return b.String(), p.statusText()
		case done == "" && failure == "":
			if idle++; idle == 2 {
				return b.String(), p.statusText()
			}
		default:
			idle, failed = 0, failure
		}
	}
}

// turn merges, observes, plans, applies and reports.
func (p *play) turn() (steps, failure string) {
	result := merge.Compile(p.policies).Merge(merge.Node{
		Name: "node1", Labels: map[string]string{"feature.node.kubernetes.io/network-sriov.capable": "true"},
		Interfaces: p.state.Status.Interfaces, Reported: p.state.Status.Inventory != "", Current: p.state.Spec,
	})
	p.state.Spec = result.Spec
	led, err := ledger.Open(p.ctx, p.k.Store())
	p.must(err)
	facts := agent.Facts{Generation: 1, Spec: result.Spec}
	p.look(led, &facts)
	var b strings.Builder
	for _, chain := range facts.Decision.Run.Chains {
		fmt.Fprintf(&b, "%s\n", strings.TrimSpace("chain "+strings.Join(chain.PFs, " ")))
		for _, stage := range chain.Stages {
			for i, step := range stage {
				fmt.Fprintf(&b, "  %s %s\n", map[bool]string{true: "-", false: "|"}[i == 0], step)
			}
		}
	}
	ran := apply.Run(p.ctx, p.k.Host(), led, *facts.Observed, facts.Decision.Run)
	p.k.Settle()
	p.look(led, &facts)
	p.must(led.Forget(p.ctx, facts.Plan.Released...))
	p.must(led.ForgetBridges(p.ctx, facts.Plan.ReleasedBridges...))
	if err := ran.Err(); err != nil {
		facts.Failed, facts.FailedReason = err.Error(), sriovv1.ReasonApplyFailed
	}
	p.state.Status = agent.Report(p.state.Status, facts, metav1.Now())
	p.conflicts(result)
	return b.String(), facts.Failed
}

func (p *play) look(led *ledger.Ledger, facts *agent.Facts) {
	observed, err := observe.Node(p.ctx, p.k.Host())
	p.must(err)
	facts.Observed, facts.Owned = &observed, led.Record()
	facts.Plan = agent.Plan(facts.Spec, observed, facts.Owned, driver.Default())
	facts.Decision = agent.Decide(facts.Spec, observed, facts.Plan, agent.Before{})
}

// conflicts puts what policies lost into their status.
func (p *play) conflicts(result merge.Result) {
	for i := range p.policies {
		p.policies[i].Status.Conflicts = result.Policies[p.policies[i].Name].Conflicts
	}
}

func (p *play) statusText() string {
	var b strings.Builder
	s := &p.state.Status
	for _, c := range s.Conditions {
		fmt.Fprintf(&b, "%s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	fmt.Fprintf(&b, "syncStatus %s\n", s.SyncStatus)
	for i := range s.Interfaces {
		for _, blocker := range s.Interfaces[i].Blockers {
			fmt.Fprintf(&b, "blocker %s %s: %s\n  %s\n", s.Interfaces[i].PCIAddress, blocker.Code, blocker.Message, blocker.Remedy)
		}
	}
	if len(s.Bonds) > 0 {
		data, err := yaml.Marshal(map[string]any{"bonds": s.Bonds})
		p.must(err)
		b.Write(data)
	}
	for i := range p.policies {
		for _, c := range p.policies[i].Status.Conflicts {
			fmt.Fprintf(&b, "conflict of %s: %+v\n", p.policies[i].Name, c)
		}
	}
	files := p.k.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "file %s\n", name)
	}
	return b.String()
}

func (p *play) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}
