"""How often the gate is wrong, beside other tools' rules."""
