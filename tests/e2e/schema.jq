# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Validates a document against a JSON Schema, as far as the schemas here use it: type, const, enum, minimum, minLength, required, properties,
# items and additionalProperties: false. An unknown keyword is an error, so that no schema promises what is not checked.
# jq -n --slurpfile schema S --slurpfile document D -f schema.jq: prints what is wrong, a line each; nothing if all is right.

def is_type($name): if $name == "integer" then type == "number" and . == floor else type == $name end;

def errors($schema; $path):
  . as $value
  | (($schema | keys) - ["$schema", "$id", "title", "description", "type", "const", "enum", "minimum", "minLength", "required", "properties",
                         "items", "additionalProperties"] | .[] | "\($path): the schema has the unknown keyword \(.)"),
    (if $schema.type and (is_type($schema.type) | not) then "\($path): is \(type), not \($schema.type)" else empty end),
    (if ($schema | has("const")) and . != $schema.const then "\($path): is \(.), not \($schema.const)" else empty end),
    (if $schema.enum and ($schema.enum | index([$value]) == null) then "\($path): \(.) is not one of \($schema.enum)" else empty end),
    (if $schema.minimum and . < $schema.minimum then "\($path): \(.) is less than \($schema.minimum)" else empty end),
    (if $schema.minLength and length < $schema.minLength then "\($path): is too short" else empty end),
    (if type == "object" then
       (($schema.required // [])[] | select(. as $name | $value | has($name) | not) | "\($path): lacks \(.)"),
       (keys[] as $name
        | if ($schema.properties // {}) | has($name) then $value[$name] | errors($schema.properties[$name]; "\($path).\($name)")
          elif $schema.additionalProperties == false then "\($path): has \($name), which is not in the schema"
          else empty end)
     elif type == "array" and $schema.items then range(length) as $i | .[$i] | errors($schema.items; "\($path)[\($i)]")
     else empty end);

$document[] | errors($schema[0]; "$")
