package await

import (
	"fmt"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// fileMode lets the plugin read the file whatever user it runs as; there is no secret in it.
const fileMode = 0o644

// writeFile makes path the data, whole or not at all.
func writeFile(path, data string) error {
	err := renameio.WriteFile(path, []byte(data), fileMode, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(fileMode))
	if err != nil {
		return fmt.Errorf("writing the device plugin configuration %s: %w", path, err)
	}
	return nil
}
