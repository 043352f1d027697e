package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// putHostFile writes a file. The ledger knows of it, and of the folders that are
// made for it, before; it counts as pending there until everyone has been told,
// so that a crash in between is made up for.
func (e *executor) putHostFile(ctx context.Context, s plan.PutHostFile) error {
	now, exists, err := e.hostFile(ctx, s.Path)
	if err != nil {
		return err
	}
	if exists && !hostfile.Ours(now) {
		return faultf(failure.FaultForeignFile, "/%s has the text of somebody else", s.Path)
	}
	missing, err := e.missingFolders(ctx, s.Path)
	if err != nil {
		return err
	}
	if err := e.noted(e.ledger.NoteFile(ctx, s.Path, missing)); err != nil {
		return err
	}
	if !exists || now != s.Content {
		if _, err := e.host.Files.Put(ctx, s.Path, []byte(s.Content), false); err != nil {
			return err
		}
	}
	if err := e.tell(ctx, s.Path, now+s.Content); err != nil {
		return err
	}
	return e.noted(e.ledger.SettleFile(ctx, s.Path))
}

// removeHostFile removes a file that is still ours, and forgets it.
func (e *executor) removeHostFile(ctx context.Context, s plan.RemoveHostFile) error {
	now, exists, err := e.hostFile(ctx, s.Path)
	if err != nil {
		return err
	}
	if !exists || hostfile.Ours(now) {
		if err := e.host.Files.Remove(ctx, s.Path); err != nil {
			return err
		}
	}
	folders := e.ledger.Record().Files[s.Path].Folders
	for _, folder := range slices.Backward(folders) {
		if err := e.host.Files.RemoveDir(ctx, folder); err != nil {
			return err
		}
	}
	if err := e.tell(ctx, s.Path, now); err != nil {
		return err
	}
	return e.noted(e.ledger.ForgetFile(ctx, s.Path))
}

// noted says what it means when the ledger could not be written.
func (e *executor) noted(err error) error {
	if err == nil {
		return nil
	}
	return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
}

// hostFile returns the text of a file; that of a link that leads nowhere is its
// target, which is not ours.
func (e *executor) hostFile(ctx context.Context, name string) (text string, exists bool, err error) {
	data, err := e.host.FS.ReadFile(ctx, name)
	if err == nil {
		return string(data), true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("reading /%s: %w", name, err)
	}
	if target, err := e.host.FS.ReadLink(ctx, name); err == nil {
		return target, true, nil
	}
	return "", false, nil
}

// missingFolders returns the folders on the path of a file that are not there,
// outer ones first.
func (e *executor) missingFolders(ctx context.Context, name string) ([]string, error) {
	var missing []string
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		_, err := e.host.FS.ReadDir(ctx, folder)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking for folder /%s: %w", folder, err)
		}
		missing = append([]string{folder}, missing...)
	}
	return missing, nil
}

// tell lets those know of a changed file who do not look by themselves. udevd
// reads changed rules at the next event of a device, and of netdevs that are
// there already there is none.
func (e *executor) tell(ctx context.Context, name, texts string) error {
	switch name {
	case hostfile.NetworkManagerConf:
		if err := e.host.NetworkManager.Reload(ctx); err != nil {
			return &fault{kind: failure.FaultNetworkManager, text: "telling NetworkManager", err: err}
		}
	case hostfile.UdevRules:
		for _, netdev := range e.ruled(hostfile.PFs(texts)) {
			if err := e.changed(ctx, netdev); err != nil {
				return err
			}
		}
	}
	return nil
}

// ruled names the VFs' netdevs and the representors of PFs, as they were observed.
func (e *executor) ruled(pfs []string) []string {
	var out []string
	for _, address := range pfs {
		pf := e.observed.PF(address)
		if pf == nil {
			continue
		}
		for i := range pf.VFs {
			if n := pf.VFs[i].Netdev; n != nil {
				out = append(out, n.Name)
			}
		}
		for i := range pf.Representors {
			out = append(out, pf.Representors[i].Netdev.Name)
		}
	}
	return out
}

// changed has the kernel announce a netdev once more. Never as added: udev would
// give a representor its name back that a CNI has renamed for a pod. One that is
// gone needs nothing.
func (e *executor) changed(ctx context.Context, netdev string) error {
	err := e.host.FS.WriteFile(ctx, path.Join("sys/class/net", netdev, "uevent"), []byte("change"))
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return fmt.Errorf("announcing %s: %w", netdev, err)
}
