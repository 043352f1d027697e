package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// FileStore keeps the record in a file, mode 0600, in a folder that it makes
// with mode 0700.
type FileStore struct {
	// Path of the file, e.g. /var/lib/sriov-offload-operator/ledger.json.
	Path string
}

// String returns the path.
func (s FileStore) String() string { return s.Path }

// Load implements Store.
func (s FileStore) Load(_ context.Context) ([]byte, error) {
	data, err := os.ReadFile(s.Path)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return data, nil
}

// Save implements Store: the data is written beside the file, synced, renamed
// over it, and the folder is synced, because a rename is durable only then.
func (s FileStore) Save(_ context.Context, data []byte) error {
	dir := filepath.Dir(s.Path)
	if err := makeDir(dir); err != nil {
		return err
	}
	f, err := renameio.NewPendingFile(s.Path, renameio.WithTempDir(dir), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return fmt.Errorf("making a temporary file: %w", err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.CloseAtomicallyReplace()
	}
	// Cleanup does nothing after a successful replace.
	if err = errors.Join(err, f.Cleanup()); err != nil {
		return fmt.Errorf("replacing %s: %w", s.Path, err)
	}
	return syncDir(dir)
}

// makeDir makes a folder and its missing parents, each synced into its parent.
func makeDir(dir string) error {
	_, err := os.Stat(dir)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking for the ledger's folder: %w", err)
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the ledger's folder: %w", err)
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening %s to sync it: %w", dir, err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("syncing %s: %w", dir, err)
	}
	return nil
}
