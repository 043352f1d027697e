package fleet

import (
	"errors"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SpecWritten takes note of how writing the merged spec of a node ended: err is
// nil after success. Where the API server refuses the spec, no daemon will ever
// see it, and the policies that select the node have to say so.
func (f *Fleet) SpecWritten(node string, err error) {
	f.mu.Lock()
	before := f.refused[node]
	switch reason, refused := refusal(err); {
	case refused:
		f.refused[node] = reason
	case err == nil:
		delete(f.refused, node)
	}
	var changed []string
	if f.refused[node] != before {
		changed = slices.Collect(maps.Keys(f.nodes[node].Policies))
	}
	f.mu.Unlock()
	f.notify(changed)
}

// refusal is the API server's reason if it will refuse the same request again.
// A lost race, an overload or a server that does not answer pass by themselves.
func refusal(err error) (reason string, refused bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return "", false
	}
	switch status.Status().Reason {
	case metav1.StatusReasonConflict, metav1.StatusReasonAlreadyExists, metav1.StatusReasonNotFound,
		metav1.StatusReasonTooManyRequests, metav1.StatusReasonServerTimeout, metav1.StatusReasonTimeout,
		metav1.StatusReasonServiceUnavailable, metav1.StatusReasonExpired:
		return "", false
	}
	return status.Status().Message, true
}
