package v1alpha1

// DeletionPolicy is what becomes of the keys and the records of an MCPServer that is
// deleted.
//
// +kubebuilder:validation:Enum=Delete;Retain
type DeletionPolicy string

// What can become of them.
const (
	DeletionDelete DeletionPolicy = "Delete"
	DeletionRetain DeletionPolicy = "Retain"
)
