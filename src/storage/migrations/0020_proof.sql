-- Against which invariants a version was proven before it was published: a JSON object of how many they are, their digest and the
-- solver. Without: it was published without proof, or by a gateway that did not prove yet.
ALTER TABLE covenants ADD COLUMN proof TEXT;
