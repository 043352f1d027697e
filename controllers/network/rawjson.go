package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// object is a JSON object that a user wrote. Numbers stay as they were written.
type object map[string]any

// rawObject reads a field that holds a JSON object; nil if the field is empty.
func rawObject(field, text string) (object, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var o object
	if err := decodeOne(text, &o); err != nil {
		return nil, invalid(field, "is not a JSON object: %v", err)
	}
	if o == nil {
		return nil, invalid(field, "is not a JSON object: null")
	}
	return o, nil
}

// rawObjects reads a field that holds JSON objects separated by commas.
func rawObjects(field, text string) ([]object, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var list []object
	if err := decodeOne("["+text+"]", &list); err != nil {
		return nil, invalid(field, "is not a list of JSON objects separated by commas: %v", err)
	}
	for i, o := range list {
		if o == nil {
			return nil, invalid(field, "object %d is null", i+1)
		}
	}
	return list, nil
}

// decodeOne decodes exactly one JSON value, with nothing behind it.
func decodeOne(text string, into any) error {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		var mistyped *json.UnmarshalTypeError
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return errors.New("it ends too early; a bracket or quote is not closed")
		case errors.As(err, &mistyped):
			return fmt.Errorf("there is a JSON %s instead", mistyped.Value)
		}
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind its end")
	}
	return nil
}

// capabilities reads a field with the capabilities of a plugin. libcni wants
// them to be booleans.
func capabilities(text string) (map[string]bool, error) {
	o, err := rawObject("spec.capabilities", text)
	if err != nil || o == nil {
		return nil, err
	}
	out := make(map[string]bool, len(o))
	for name, v := range o {
		on, isBool := v.(bool)
		if !isBool {
			return nil, invalid("spec.capabilities", `%q has to be true or false, as in {"mac": true}`, name)
		}
		out[name] = on
	}
	return out, nil
}

// ipam reads a field with an IPAM configuration; empty means an empty object.
func ipam(text string) (object, error) {
	o, err := rawObject("spec.ipam", text)
	if err != nil {
		return nil, err
	}
	if len(o) == 0 {
		return object{}, nil
	}
	// libcni's type has no other spelling, but its decoder ignores case: a second
	// key would be read instead of the one that a person sees.
	for key := range o {
		if key != "type" && strings.EqualFold(key, "type") {
			return nil, invalid("spec.ipam", `has the key %q, which is read as "type"; write "type"`, key)
		}
	}
	if t, isText := o["type"].(string); !isText || t == "" {
		return nil, invalid("spec.ipam", `has no "type", which names the IPAM plugin, e.g. {"type": "host-local"}`)
	}
	return o, nil
}
