package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// DefaultPath is where the ledger lies below the root of the host.
const DefaultPath = "var/lib/sriov-offload-operator/ledger.json"

// lockName is the file beside the ledger whose lock its owner holds.
const lockName = "lock"

// lockRetry is how soon a lock that somebody holds is tried again; the kernel does
// not tell when it is free without keeping the caller.
const lockRetry = time.Second

// ErrLocked says that another process owns the ledger.
var ErrLocked = errors.New("a daemon or a cleanup is running on this node")

// Delete implements Store. The folder goes too when it is empty, which it is not
// while somebody holds the lock.
func (s FileStore) Delete(_ context.Context) error {
	if err := os.Remove(s.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the ledger: %w", err)
	}
	return s.tidy()
}

// tidy removes the ledger's folder if it is empty, and makes it last.
func (s FileStore) tidy() error {
	dir := filepath.Dir(s.Path)
	err := os.Remove(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST):
		// Whoever took the lock meanwhile may have removed the folder already.
		if err := syncDir(dir); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case err != nil:
		return fmt.Errorf("removing the ledger's folder: %w", err)
	}
	return syncDir(filepath.Dir(dir))
}

// Lock is the right to be the only one who changes the host and the ledger.
type Lock struct {
	file  *os.File
	store FileStore
}

// Lock takes the lock, or returns ErrLocked at once. It ends with Unlock or with
// the process.
func (s FileStore) Lock() (*Lock, error) {
	dir := filepath.Dir(s.Path)
	path := filepath.Join(dir, lockName)
	for {
		if err := makeDir(dir); err != nil {
			return nil, err
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			// Whoever had the lock has just removed the folder.
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("opening the lock: %w", err)
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("%w: it holds %s", ErrLocked, path), file.Close())
		case err != nil:
			return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
		case same(file, path):
			return &Lock{file: file, store: s}, nil
		}
		// Between open and lock its owner removed it: this is nobody's lock.
		_ = file.Close()
	}
}

// same tells whether a path still leads to an open file.
func same(file *os.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(opened, there)
}

// WaitLock takes the lock as soon as it is free, and calls waiting once if it is
// not: a daemon may start before the one before it has ended.
func (s FileStore) WaitLock(ctx context.Context, waiting func(error)) (*Lock, error) {
	var tick <-chan time.Time
	for {
		lock, err := s.Lock()
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		if tick == nil {
			waiting(err)
			ticker := time.NewTicker(lockRetry)
			defer ticker.Stop()
			tick = ticker.C
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick:
		}
	}
}

// Unlock gives the lock back. The file and the folder go unless the ledger is
// there.
func (l *Lock) Unlock() error {
	var errs []error
	if _, err := os.Stat(l.store.Path); errors.Is(err, fs.ErrNotExist) {
		// While it is still locked: nobody else can take it for his own.
		errs = append(errs, os.Remove(l.file.Name()), l.store.tidy())
	}
	return errors.Join(append(errs, l.file.Close())...)
}
