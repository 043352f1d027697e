package await

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// fileMode lets the plugin read the file whatever user it runs as; there is no secret in it.
const fileMode = 0o644

// writeFile makes path the data, whole or not at all.
func writeFile(path, data string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".config-*")
	if err != nil {
		return fmt.Errorf("writing the device plugin configuration %s: %w", path, err)
	}
	_, err = f.WriteString(data)
	err = errors.Join(err, f.Chmod(fileMode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path) //nolint:forbidigo // a file in a volume of this pod, nothing of the host
	}
	if err != nil {
		_ = os.Remove(f.Name()) //nolint:forbidigo // what is left of the same file
		return fmt.Errorf("writing the device plugin configuration %s: %w", path, err)
	}
	return nil
}
