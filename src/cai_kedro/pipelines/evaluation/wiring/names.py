"""What the wiring of the evaluation reads again and again."""

PARAMS, AXES, SEED = "params:evaluation", "params:axes", "params:seed"

#: The answers of a table are judged beside these.
JUDGED = {"policy_prompts": "policy_prompts", "prompt_axes": "prompt_axes", "judge": "judge"}
