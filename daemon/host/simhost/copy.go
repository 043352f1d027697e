package simhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"syscall"
)

// Copy implements host.Files. The content is read before anything is written: a
// reader that fails leaves the old file.
func (d filesDoor) Copy(ctx context.Context, name string, from io.Reader, mode fs.FileMode) ([]string, error) {
	c := fileCall("files.Copy", "writing", name)
	data, err := io.ReadAll(from)
	if err != nil {
		return nil, c.fail(err)
	}
	c.value = fmt.Sprintf("%#o", mode)
	return run(ctx, d.handle, c, func() ([]string, error) {
		if err := d.k.writable(name); err != nil {
			return nil, err
		}
		return d.k.disk.place(name, &file{data: data, executable: mode&0o111 != 0})
	})
}

// Digest implements host.Files.
func (d filesDoor) Digest(ctx context.Context, name string) (string, error) {
	c := fileCall("files.Digest", "reading", name)
	c.write = false
	return run(ctx, d.handle, c, func() (string, error) {
		if err := badPath(name); err != nil {
			return "", err
		}
		n, err := d.k.disk.lookup(name)
		switch {
		case err != nil:
			return "", err
		case n.child != nil:
			return "", refuse(syscall.EISDIR)
		}
		content, err := n.read()
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256([]byte(content))
		return hex.EncodeToString(sum[:]), nil
	})
}
