package drain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/nodestate"
)

// pools are all pools with their selectors compiled.
type pools []compiledPool

type compiledPool struct {
	pool     *sriovv1.SriovNetworkPoolConfig
	selector labels.Selector
}

// listPools reads the pools of a namespace, in the order of their names. A pool with
// an invalid selector has no nodes; its conditions say so.
func listPools(ctx context.Context, c client.Reader, namespace string) (pools, error) {
	list := &sriovv1.SriovNetworkPoolConfigList{}
	if err := c.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing pools: %w", err)
	}
	var all pools
	for i := range list.Items {
		if selector, err := nodestate.PoolSelector(&list.Items[i]); err == nil {
			all = append(all, compiledPool{pool: &list.Items[i], selector: selector})
		}
	}
	slices.SortFunc(all, func(a, b compiledPool) int { return strings.Compare(a.pool.Name, b.pool.Name) })
	return all, nil
}

// of returns the pools of a node with these labels.
func (p pools) of(node map[string]string) []*sriovv1.SriovNetworkPoolConfig {
	var of []*sriovv1.SriovNetworkPoolConfig
	for _, c := range p {
		if c.selector.Matches(labels.Set(node)) {
			of = append(of, c.pool)
		}
	}
	return of
}
