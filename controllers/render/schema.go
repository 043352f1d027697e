package render

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/sriov-offload/sriov-offload-operator/config/crd"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// definition has the rules of one kind, as an API server applies them.
type definition struct {
	structural *structuralschema.Structural
	values     validation.SchemaValidator
	rules      *cel.Validator // nil without rules
}

// schemas compiles the rules of a kind when it is first met: compiling CEL takes a while.
type schemas struct {
	definitions map[string]*apiextensionsv1.CustomResourceDefinition // by kind
	compiled    map[string]*definition
}

func newSchemas() (*schemas, error) {
	s := &schemas{
		definitions: map[string]*apiextensionsv1.CustomResourceDefinition{},
		compiled:    map[string]*definition{},
	}
	err := fs.WalkDir(crd.Definitions(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(crd.Definitions(), path)
		if err != nil {
			return err
		}
		d := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, d); err != nil {
			return fmt.Errorf("decoding %s: %w", path, err)
		}
		s.definitions[d.Spec.Names.Kind] = d
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading custom resource definitions: %w", err)
	}
	return s, nil
}

// has tells whether the kind is one of ours.
func (s *schemas) has(kind string) bool { return s.definitions[kind] != nil }

// nearest is the kind of ours whose name comes nearest to that one.
func (s *schemas) nearest(kind string) string {
	return slices.MinFunc(slices.Sorted(maps.Keys(s.definitions)), func(a, b string) int {
		return cmp.Compare(merge.Distance(kind, a), merge.Distance(kind, b))
	})
}

func (s *schemas) of(kind, version string) (*definition, error) {
	if c := s.compiled[kind]; c != nil {
		return c, nil
	}
	d := s.definitions[kind]
	if d == nil {
		return nil, fmt.Errorf("compiling the schema of %s: there is no definition of that kind", kind)
	}
	for i := range d.Spec.Versions {
		if v := &d.Spec.Versions[i]; v.Name == version {
			c, err := compile(v.Schema.OpenAPIV3Schema)
			if err != nil {
				return nil, fmt.Errorf("compiling the schema of %s: %w", kind, err)
			}
			s.compiled[kind] = c
			return c, nil
		}
	}
	return nil, fmt.Errorf("compiling the schema of %s: there is no version %s", kind, version)
}

func compile(v1Schema *apiextensionsv1.JSONSchemaProps) (*definition, error) {
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1Schema, internal, nil); err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(internal)
	if err != nil {
		return nil, err
	}
	values, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		return nil, err
	}
	return &definition{
		structural: structural,
		values:     values,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}

// admit does to the object what an API server does before it stores it: it
// fills in defaults and reports unknown fields, wrong values and violated rules.
func (d *definition) admit(ctx context.Context, object map[string]any) []Problem {
	var problems []Problem
	unknown := pruning.PruneWithOptions(object, d.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		problems = append(problems, Problem{Field: path, Message: unknownField})
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, d.structural)
	defaulting.Default(object, d.structural)
	errs := validation.ValidateCustomResource(nil, object, d.values)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, d.structural, object)...)
	// Rules assume the types that the schema has already checked.
	if len(errs) == 0 && d.rules != nil {
		violated, _ := d.rules.Validate(ctx, nil, d.structural, object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, violated...)
	}
	problems = append(problems, fromFieldErrors(errs)...)
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
	})
	return problems
}

func fromFieldErrors(errs field.ErrorList) []Problem {
	var problems []Problem
	for _, err := range errs {
		path := err.Field
		if path == "<nil>" {
			path = ""
		}
		problems = append(problems, Problem{Field: path, Message: err.ErrorBody()})
	}
	return problems
}
