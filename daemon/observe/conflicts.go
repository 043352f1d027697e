package observe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/conflict"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// What is read of others' configuration: no more than a person would write.
const (
	maxConfig  = 1 << 20
	maxConfigs = 1024
	maxClaims  = 256
)

// configs reads the configuration of others.
type configs struct {
	fs   host.FS
	node *inventory.Node
	// seen are names by layer: the first one counts.
	seen map[string]bool
	read int
}

// readClaims finds what others have in their configuration about SR-IOV.
func readClaims(ctx context.Context, files host.FS, node *inventory.Node) {
	c := &configs{fs: files, node: node, seen: map[string]bool{}}
	for _, place := range conflict.Places() {
		names, err := files.ReadDir(ctx, place.Folder)
		if err != nil {
			c.unreadable(place.Folder, err)
			continue
		}
		for _, name := range names {
			if place.Counts(name) && !c.overridden(place.Layer, name) {
				c.file(ctx, &place, name)
			}
		}
	}
	slices.SortStableFunc(node.Claims, func(a, b inventory.Claim) int { return strings.Compare(a.Source, b.Source) })
	node.Claims = node.Claims[:min(len(node.Claims), maxClaims)]
}

func (c *configs) unreadable(name string, err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		c.node.Unreadable = append(c.node.Unreadable, inventory.Unreadable{Fact: name, Reason: err.Error()})
	}
}

// overridden tells whether a file of the same name was there before.
func (c *configs) overridden(layer, name string) bool {
	id := layer + "/" + name
	if layer == "" {
		return false
	}
	before := c.seen[id]
	c.seen[id] = true
	return before
}

// file reads one file with its drop-ins.
func (c *configs) file(ctx context.Context, place *conflict.Place, name string) {
	source := path.Join(place.Folder, name)
	if c.read++; c.read > maxConfigs {
		if c.read == maxConfigs+1 {
			c.unreadable(source, fmt.Errorf("there are more than %d files, the rest was not read", maxConfigs))
		}
		return
	}
	content, err := c.text(ctx, source)
	if err == nil && place.DropIns {
		var more string
		more, err = c.dropIns(ctx, source+".d")
		content += more
	}
	switch {
	case errors.Is(err, syscall.EISDIR):
		// A folder of drop-ins, or of something else: no file.
		return
	case err != nil:
		c.unreadable(source, err)
		return
	}
	claims, err := place.Claims(name, content)
	if err != nil {
		c.unreadable(source, fmt.Errorf("it was not understood: %w", err))
		return
	}
	c.node.Claims = append(c.node.Claims, claims...)
}

func (c *configs) dropIns(ctx context.Context, folder string) (string, error) {
	names, err := c.fs.ReadDir(ctx, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range names {
		if path.Ext(name) != ".conf" {
			continue
		}
		content, err := c.text(ctx, path.Join(folder, name))
		if err != nil {
			return "", err
		}
		b.WriteString("\n" + content)
	}
	return b.String(), nil
}

// maxLinks is how many absolute links are followed: a root that is seen below a
// folder does not follow them by itself.
const maxLinks = 8

// text reads a file. What leads to /dev/null is a file that its owner masks.
func (c *configs) text(ctx context.Context, name string) (string, error) {
	for range maxLinks {
		target, err := c.fs.ReadLink(ctx, name)
		if err != nil || !path.IsAbs(target) {
			break
		}
		if target = path.Clean(target); target == "/dev/null" {
			return "", nil
		}
		name = strings.TrimPrefix(target, "/")
	}
	data, err := c.fs.ReadFile(ctx, name)
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("it is larger than %d bytes", maxConfig)
	}
	return string(data), err
}
