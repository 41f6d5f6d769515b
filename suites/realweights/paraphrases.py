"""Sentences and their paraphrases, written for this suite: eight subjects, six pairs each, so that a neighbour on the
same subject is easily taken for the right one."""

SETS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("The train to the coast was cancelled this morning.", "There was no rail service to the seaside today."),
        ("The train to the coast was an hour late today.", "The rail service to the seaside had an hour's delay."),
        ("Tickets for the coast train are sold out.", "There are no seats left to buy on the seaside train."),
        ("A new station opened near the harbour.", "Trains now stop at a station that was built beside the port."),
        ("The conductor checked every passenger's ticket.", "All travellers had to show the guard that they had paid."),
        ("Bicycles may be taken on the train for free.", "You can bring your bike on board without an extra charge."),
    ),
    (
        ("The patient's fever went down overnight.", "By the morning her temperature had fallen."),
        ("The patient's fever rose overnight.", "By the morning her temperature was higher."),
        ("The doctor prescribed an antibiotic for a week.", "She had to take pills against bacteria for seven days."),
        ("The surgery was postponed until Monday.", "They will operate after the weekend instead."),
        ("Visitors are not allowed on this ward.", "Nobody may come to see people in this part of the hospital."),
        ("The nurse measured his blood pressure twice.", "Two readings of his blood pressure were taken."),
    ),
    (
        ("Prices of houses fell in the capital last year.", "Homes in the country's largest city became cheaper."),
        ("Rents rose in the capital last year.", "Tenants in the country's largest city paid more."),
        ("The bank lowered the interest on savings.", "People with deposits now earn less on them."),
        ("The bank refused to give him a mortgage.", "His request for a loan to buy a home was turned down."),
        ("The landlord must repair the heating.", "It is up to the owner of the flat to fix the radiators."),
        ("They sold their flat below its value.", "Their apartment went for less than it was worth."),
    ),
    (
        ("The compiler removed a useless loop.", "A loop that did nothing was deleted during optimisation."),
        ("The compiler merged two loops into one.", "Two loops were fused during optimisation."),
        ("The program crashed because memory ran out.", "It stopped as no more memory could be allocated."),
        ("The program crashed because a file was missing.", "It stopped since it could not find a file."),
        ("The tests pass on every platform but one.", "On all systems except a single one nothing fails."),
        ("Nobody has reviewed this change yet.", "The patch still waits for someone to read it."),
    ),
    (
        ("Whales sing to each other over great distances.", "The songs of these sea mammals carry for many miles."),
        ("Bees tell each other where flowers are by dancing.", "With a dance the insects show where to find blossoms."),
        ("Swallows fly south before the winter.", "In autumn these birds leave for warmer countries."),
        ("The wolf has come back to the forests of the north.", "In northern woods there are packs again."),
        ("A spider can live for weeks without food.", "It survives for a long time although it eats nothing."),
        ("Octopuses change their colour to hide.", "By turning another shade they become hard to see."),
    ),
    (
        ("The soup needs more salt.", "It tastes bland; season the broth a little more."),
        ("The soup is too salty.", "Somebody has seasoned the broth far too much."),
        ("Bake the bread until its crust is brown.", "Leave the loaf in the oven until it has a dark surface."),
        ("Let the dough rest overnight in the refrigerator.", "Keep the dough cold until the next day."),
        ("Peel the potatoes and cut them into cubes.", "Take off the skin of the potatoes and dice them."),
        ("The restaurant was closed on Sunday.", "We could not eat there, as it has no service at the weekend."),
    ),
    (
        ("The home team scored in the last minute.", "Shortly before the final whistle the hosts got a goal."),
        ("The visiting team scored in the first minute.", "Right after kick-off the guests got a goal."),
        ("The match was called off because of snow.", "It snowed so much that nobody could play."),
        ("The referee sent two players off.", "Two men were shown a red card."),
        ("She ran the marathon in under three hours.", "She took less than 180 minutes for forty-two kilometres."),
        ("The trainer left the club after the defeat.", "When they had lost, the coach resigned."),
    ),
    (
        ("It will rain in the mountains tomorrow.", "For the next day showers are expected on higher ground."),
        ("It will be sunny in the mountains tomorrow.", "For the next day clear skies are expected on higher ground."),
        ("The river flooded the old town.", "Water from the stream stood in the historic streets."),
        ("The storm tore the roof off a school.", "Strong winds left a school building without its cover."),
        ("There has been no rain since March.", "The drought began in spring."),
        ("The lake froze for the first time in ten years.", "Not for a decade had there been ice on this water."),
    ),
)  # fmt: skip
