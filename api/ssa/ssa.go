package ssa

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Apply creates or changes an object so that the fields set in obj have their
// values; fields that owner applied before and that obj no longer sets are
// removed. Status is never sent. Values that another manager set are taken over.
//
// With a uid in obj, the request fails with a conflict instead of creating the
// object when it is gone or was replaced. Set it whenever the object's creation
// is not the writer's business.
//
// After success obj is the object as the server answered, as after an update.
func Apply(ctx context.Context, c client.Client, obj client.Object, owner client.FieldOwner) error {
	u, err := Object(c, obj)
	if err != nil {
		return err
	}
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), owner, client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying %s %s: %w", u.GetKind(), client.ObjectKeyFromObject(obj), err)
	}
	return takeAnswer(obj, u)
}

// ApplyStatus is Apply for the status of an object, which must exist.
func ApplyStatus(ctx context.Context, c client.Client, obj client.Object, owner client.FieldOwner) error {
	u, err := Status(c, obj)
	if err != nil {
		return err
	}
	return applyStatus(ctx, c, obj, u, owner)
}

// ApplyStatusFields is ApplyStatus for some fields of the status: others belong to
// other managers, and those that are sent even if they are empty would be taken
// from them.
func ApplyStatusFields(ctx context.Context, c client.Client, obj client.Object, owner client.FieldOwner, fields ...string) error {
	u, err := Status(c, obj)
	if err != nil {
		return err
	}
	if status, ok := u.Object["status"].(map[string]any); ok {
		maps.DeleteFunc(status, func(field string, _ any) bool { return !slices.Contains(fields, field) })
	}
	return applyStatus(ctx, c, obj, u, owner)
}

func applyStatus(ctx context.Context, c client.Client, obj client.Object, u *unstructured.Unstructured, owner client.FieldOwner) error {
	err := c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), owner, client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying the status of %s %s: %w", u.GetKind(), client.ObjectKeyFromObject(obj), err)
	}
	return takeAnswer(obj, u)
}

// Object returns what Apply sends for obj.
func Object(c client.Client, obj client.Object) (*unstructured.Unstructured, error) {
	all, err := toMap(obj)
	if err != nil {
		return nil, err
	}
	u, err := identity(c, obj)
	if err != nil {
		return nil, err
	}
	metadata, _ := all["metadata"].(map[string]any)
	for _, field := range []string{"labels", "annotations", "ownerReferences", "finalizers"} {
		if v, found := metadata[field]; found {
			u.Object["metadata"].(map[string]any)[field] = v
		}
	}
	for field, v := range all {
		switch field {
		case "apiVersion", "kind", "metadata", "status":
			continue
		}
		if m, isMap := v.(map[string]any); isMap && len(m) == 0 {
			continue
		}
		u.Object[field] = v
	}
	return u, nil
}

// Status returns what ApplyStatus sends for obj.
func Status(c client.Client, obj client.Object) (*unstructured.Unstructured, error) {
	all, err := toMap(obj)
	if err != nil {
		return nil, err
	}
	u, err := identity(c, obj)
	if err != nil {
		return nil, err
	}
	if status, found := all["status"]; found {
		u.Object["status"] = status
	}
	return u, nil
}

func identity(c client.Client, obj client.Object) (*unstructured.Unstructured, error) {
	gvk, err := c.GroupVersionKindFor(obj)
	if err != nil {
		return nil, fmt.Errorf("looking up the kind of %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{}}}
	u.SetGroupVersionKind(gvk)
	u.SetName(obj.GetName())
	if obj.GetNamespace() != "" {
		u.SetNamespace(obj.GetNamespace())
	}
	if obj.GetUID() != "" {
		u.SetUID(obj.GetUID())
	}
	return u, nil
}

// toMap goes through encoding/json because runtime.DefaultUnstructuredConverter
// ignores encoding.TextMarshaler, which VF ranges use.
func toMap(obj client.Object) (map[string]any, error) {
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encoding %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	var m map[string]any
	// This decoder keeps integers as int64, as the unstructured form requires.
	if err := utiljson.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("decoding %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	dropNulls(m)
	return m, nil
}

func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if member == nil {
				delete(v, key)
				continue
			}
			dropNulls(member)
		}
	case []any:
		for _, element := range v {
			dropNulls(element)
		}
	}
}

func takeAnswer(obj client.Object, answer *unstructured.Unstructured) error {
	data, err := answer.MarshalJSON()
	if err != nil {
		return fmt.Errorf("encoding the answer for %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
	}
	name := client.ObjectKeyFromObject(obj)
	reflect.ValueOf(obj).Elem().SetZero()
	if err := json.Unmarshal(data, obj); err != nil {
		return fmt.Errorf("decoding the answer for %T %s: %w", obj, name, err)
	}
	return nil
}
