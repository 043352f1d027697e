package render

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/deviceplugin"
	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodestate"
	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

// Options of a rendering.
type Options struct {
	// Files and directories with manifests; Stdin stands for standard input.
	Files []string
	// Recursive reads directories in directories too.
	Recursive bool
	// Output is OutputYAML or OutputJSON.
	Output string
	// Namespace of the operator. Empty: the one that the manifests have.
	Namespace string
	// Stdin is read for the file named "-".
	Stdin io.Reader
	// Notes gets a line for everything that was left aside; nil: nobody.
	Notes io.Writer
}

// Run renders the manifests to out. Nothing is written to out unless all of
// them are valid; what is wrong with them is an *InputError.
func Run(ctx context.Context, opts Options, out io.Writer) error {
	if opts.Output != OutputYAML && opts.Output != OutputJSON {
		return invalid(fmt.Sprintf("output format %q: it has to be %s or %s", opts.Output, OutputYAML, OutputJSON))
	}
	if len(opts.Files) == 0 {
		return invalid("no manifests; name files or directories with -f, or - for standard input")
	}
	if opts.Stdin == nil {
		opts.Stdin = strings.NewReader("")
	}
	if opts.Notes == nil {
		opts.Notes = io.Discard
	}
	l, err := load(ctx, opts)
	if err != nil {
		return err
	}
	scoped, notes := l.manifests.scope(opts.Namespace, l)
	var attachments []any
	var networks []NetworkReport
	if scoped != nil {
		if attachments, networks, err = scoped.renderNetworks(l); err != nil {
			return err
		}
	}
	if len(l.problems) > 0 {
		return &InputError{Problems: l.problems}
	}
	if err := writeNotes(opts.Notes, slices.Concat(l.ignored, notes)); err != nil {
		return err
	}
	r, err := scoped.render()
	if err != nil {
		return err
	}
	r.attachments, r.report.Networks = attachments, networks
	return write(out, opts.Output, r.objects())
}

// rendering is everything that is printed.
type rendering struct {
	states     []*sriovv1.SriovNetworkNodeState
	configMaps []*corev1.ConfigMap
	// attachments are NetworkAttachmentDefinitions and what belongs to them.
	attachments []any
	report      Report
}

func (r *rendering) objects() []any {
	objects := make([]any, 0, len(r.states)+len(r.configMaps)+len(r.attachments)+1)
	for _, s := range r.states {
		objects = append(objects, s)
	}
	for _, c := range r.configMaps {
		objects = append(objects, c)
	}
	return append(append(objects, r.attachments...), r.report)
}

// scoped are the manifests of one operator.
type scoped struct {
	manifests
	namespace string
}

// render decides as the manager does, node by node.
func (s *scoped) render() (*rendering, error) {
	r := &rendering{report: Report{
		TypeMeta: metav1.TypeMeta{APIVersion: ReportVersion, Kind: ReportKind},
		Nodes:    []NodeReport{}, Policies: []PolicyReport{},
	}}
	operator := settings.From(s.config())
	set := merge.Compile(s.policies)
	results := map[string]merge.Result{}
	slices.SortFunc(s.nodes, func(a, b node) int { return cmp.Compare(a.Name, b.Name) })
	for i := range s.nodes {
		n := &s.nodes[i]
		report := NodeReport{Name: n.Name}
		if !operator.RunsDaemon(n.Labels) {
			report.Note = "the daemon does not run on this node, so it has no node state"
			r.report.Nodes = append(r.report.Nodes, report)
			continue
		}
		observed := s.stateOf(n.Name)
		n.Labels = fleet.Labels(n.Labels, observed)
		in := merge.Node{
			Name: n.Name, Labels: n.Labels, Interfaces: observed.Status.Interfaces, Reported: fleet.Reported(observed),
			Current:  observed.Spec,
			RdmaMode: nodestate.RdmaMode(n.Labels, s.pools, observed.Spec.System.RdmaMode),
			Systemd:  operator.Systemd,

			AllowNodeNetwork: nodestate.AllowNodeNetwork(n.Labels, s.pools),
		}
		result := set.Merge(in)
		results[n.Name] = result
		report.Policies = set.Selecting(n.Labels)
		if err := r.addNode(s.newState(n.Name, result.Spec), observed, operator, &report); err != nil {
			return nil, err
		}
		r.report.Nodes = append(r.report.Nodes, report)
	}
	s.reportOrphans(r)
	s.reportPolicies(r, results)
	return r, nil
}

// addNode adds the node's state and, if it offers resources, its ConfigMap.
func (r *rendering) addNode(state, observed *sriovv1.SriovNetworkNodeState, operator settings.Settings, report *NodeReport) error {
	r.states = append(r.states, state)
	if state.Spec.ComputedFrom == "" {
		report.Note = "there is no node state with an inventory, so nothing is computed yet"
		return nil
	}
	data, resources, err := deviceplugin.Render(state.Spec, observed.Status.Interfaces, deviceplugin.Defaults{ResourcePrefix: operator.ResourcePrefix})
	if err != nil {
		return fmt.Errorf("rendering node %s: %w", state.Name, err)
	}
	report.Resources = resources
	if len(resources) > 0 {
		r.configMaps = append(r.configMaps, deviceplugin.ConfigMap(state, data))
	}
	return nil
}

func (s *scoped) newState(name string, spec sriovv1.SriovNetworkNodeStateSpec) *sriovv1.SriovNetworkNodeState {
	return &sriovv1.SriovNetworkNodeState{
		TypeMeta:   metav1.TypeMeta{APIVersion: sriovv1.GroupVersion.String(), Kind: kindState},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace},
		Spec:       spec,
	}
}

// stateOf returns the node's state as the manifests have it, empty if they do not.
func (s *scoped) stateOf(node string) *sriovv1.SriovNetworkNodeState {
	for i := range s.states {
		if s.states[i].Name == node {
			return &s.states[i]
		}
	}
	return &sriovv1.SriovNetworkNodeState{}
}

// config returns the operator's config, nil if there is none.
func (s *scoped) config() *sriovv1.SriovOperatorConfig {
	for i := range s.configs {
		if s.configs[i].Name == sriovv1.DefaultConfigName {
			return &s.configs[i]
		}
	}
	return nil
}

// reportOrphans reports node states without a node: without its labels, nobody
// can say which policies select it.
func (s *scoped) reportOrphans(r *rendering) {
	for i := range s.states {
		name := s.states[i].Name
		if !slices.ContainsFunc(s.nodes, func(n node) bool { return n.Name == name }) {
			r.report.Nodes = append(r.report.Nodes, NodeReport{Name: name, Note: "there is a node state but no Node of this name, so its labels are not known"})
		}
	}
	slices.SortFunc(r.report.Nodes, func(a, b NodeReport) int { return cmp.Compare(a.Name, b.Name) })
}

// reportPolicies reports what became of each policy on the nodes, by name.
func (s *scoped) reportPolicies(r *rendering, results map[string]merge.Result) {
	var labels []merge.NodeLabels
	for i := range s.nodes {
		if _, merged := results[s.nodes[i].Name]; merged {
			labels = append(labels, merge.NodeLabels{Name: s.nodes[i].Name, Labels: s.nodes[i].Labels})
		}
	}
	for i := range s.policies {
		p := &s.policies[i]
		report := PolicyReport{Name: p.Name, Ignored: ignored(p)}
		var misses []merge.Miss
		for _, n := range labels {
			on := results[n.Name].Policies[p.Name]
			if len(on.MatchedPFs) > 0 {
				report.MatchedNodes = append(report.MatchedNodes, n.Name)
			}
			report.Conflicts = append(report.Conflicts, on.Conflicts...)
			misses = append(misses, on.Misses...)
		}
		if len(report.MatchedNodes) == 0 || len(misses) > 0 {
			report.Unmatched = merge.Unmatched(p, labels, misses)
		}
		r.report.Policies = append(r.report.Policies, report)
	}
	slices.SortFunc(r.report.Policies, func(a, b PolicyReport) int { return cmp.Compare(a.Name, b.Name) })
}

func ignored(p *sriovv1.SriovNetworkNodePolicy) string {
	switch {
	case p.Name == sriovv1.DefaultPolicyName:
		return "a policy of this name has never had an effect"
	case p.Spec.NumVfs <= 0:
		return "numVfs 0 adds nothing"
	default:
		return ""
	}
}
