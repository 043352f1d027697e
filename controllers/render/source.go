package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// document is one document of a file, as JSON.
type document struct {
	source string // "FILE: document N (line L)"
	data   []byte
}

// Stdin is the file name that stands for standard input.
const Stdin = "-"

// expand replaces directories by their manifests, sorted by name.
func expand(names []string, recursive bool) ([]string, []Problem) {
	var files []string
	var problems []Problem
	for _, name := range names {
		if name == Stdin {
			files = append(files, name)
			continue
		}
		found, err := expandOne(name, recursive)
		if err != nil {
			problems = append(problems, Problem{Source: name, Message: plainReason(err)})
		}
		files = append(files, found...)
	}
	return files, problems
}

func expandOne(name string, recursive bool) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{name}, nil
	}
	// Walking does not follow links, and name may be one.
	root, err := filepath.EvalSymlinks(name)
	if err != nil {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && !recursive:
			return fs.SkipDir
		case !entry.IsDir() && isManifest(path):
			files = append(files, filepath.Join(name, strings.TrimPrefix(path, root)))
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = errors.New("the directory has no *.yaml, *.yml or *.json file")
	}
	return files, err
}

func isManifest(path string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))
}

// plainReason leaves out the operation and the path, which the problem has already.
func plainReason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// read returns the documents of a file.
func read(name string, stdin io.Reader) ([]document, []Problem) {
	label, content, err := name, []byte(nil), error(nil)
	if name == Stdin {
		label = "standard input"
		content, err = io.ReadAll(stdin)
	} else {
		content, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, []Problem{{Source: label, Message: plainReason(err)}}
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if trimmed := bytes.TrimSpace(content); len(trimmed) > 0 && trimmed[0] == '{' {
		if documents, ok := splitJSON(label, content); ok {
			return documents, nil
		}
	}
	return splitYAML(label, content)
}

// splitJSON reads a stream of JSON values. It is not ok if the content is
// something else; YAML in flow style starts with a brace too.
func splitJSON(label string, content []byte) (documents []document, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	for n := 1; ; n++ {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return documents, true
		}
		if err != nil {
			return nil, false
		}
		start := int(decoder.InputOffset()) - len(raw)
		strict, err := yaml.YAMLToJSONStrict(raw) // rejects duplicate keys
		if err != nil {
			return nil, false
		}
		documents = append(documents, document{source(label, n, 1+bytes.Count(content[:start], []byte("\n"))), strict})
	}
}

// splitYAML reads YAML documents. Empty ones count, but give nothing.
func splitYAML(label string, content []byte) ([]document, []Problem) {
	var documents []document
	var problems []Problem
	number, line := 1, 1
	for _, text := range documentsOf(string(content)) {
		at := source(label, number, line+leadingLines(text))
		// Leading line breaks make the parser count lines as the file does.
		data, err := yaml.YAMLToJSONStrict([]byte(strings.Repeat("\n", line-1) + text))
		switch {
		case err != nil:
			problems = append(problems, Problem{Source: at, Message: yamlReason(err)})
		case string(data) != "null":
			documents = append(documents, document{at, data})
		}
		line += strings.Count(text, "\n") + 1
		number++
	}
	return documents, problems
}

// documentsOf splits before every line that begins with the separator "---".
// Every text but the last lacks its final line break. What precedes a first
// separator is no document of its own if it is empty.
func documentsOf(content string) []string {
	lines := strings.Split(strings.ReplaceAll(content, "\r\n", "\n"), "\n")
	var texts []string
	start := 0
	for i, line := range lines {
		if i == 0 || !isSeparator(line) {
			continue
		}
		if before := strings.Join(lines[start:i], "\n"); len(texts) > 0 || !isBlank(lines[start:i]) {
			texts = append(texts, before)
		} else {
			continue // comments before the first separator belong to its document
		}
		start = i
	}
	return append(texts, strings.Join(lines[start:], "\n"))
}

func isSeparator(line string) bool {
	rest, ok := strings.CutPrefix(line, "---")
	return ok && (rest == "" || rest[0] == ' ' || rest[0] == '\t')
}

func isBlank(lines []string) bool {
	return !slices.ContainsFunc(lines, func(l string) bool {
		l = strings.TrimSpace(l)
		return l != "" && !strings.HasPrefix(l, "#")
	})
}

// leadingLines counts the lines before the content of a document.
func leadingLines(text string) int {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !isSeparator(line) && !isBlank([]string{line}) {
			return i
		}
	}
	return 0
}

func source(label string, number, line int) string {
	return fmt.Sprintf("%s: document %d (line %d)", label, number, line)
}

// yamlReason drops the parser's name from its message.
func yamlReason(err error) string {
	message := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	return "not valid YAML: " + strings.TrimPrefix(message, "yaml: ")
}
