# A short training learns; stopped, resumed and on other numbers of threads it ends with the same bits; its checkpoint gives
# samples; what is wrong is told.
#   cmake -D GPT=<program> -D TEXT=<file> -D FOLDER=<scratch> -P training_test.cmake
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")

function(gpt)
  execute_process(COMMAND "${GPT}" ${ARGN} WORKING_DIRECTORY "${FOLDER}" OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE result)
  set(out "${out}${err}" PARENT_SCOPE)
  set(result "${result}" PARENT_SCOPE)
endfunction()
function(expect condition)
  if(NOT (${condition} ${ARGN}))
    message(FATAL_ERROR "gpt: not so: ${condition} ${ARGN}\n${out}")
  endif()
endfunction()

set(train train --text "${TEXT}" --layers 2 --width 32 --heads 2 --context 32 --sequences 9 --steps 60 --every 20)
gpt(${train} --checkpoint whole --threads 1)
expect(result EQUAL 0)
string(REGEX MATCH "step 20 of 60  loss ([0-9.]+)" found "${out}")
set(early "${CMAKE_MATCH_1}")
string(REGEX MATCH "step 60 of 60  loss ([0-9.]+)" found "${out}")
set(late "${CMAKE_MATCH_1}")
expect(late LESS early)
expect(late LESS 4) # it begins near ln 90

gpt(${train} --checkpoint parts --threads 2 --stop 25)
expect(result EQUAL 0)
gpt(${train} --checkpoint parts --threads 3 --resume)
expect(result EQUAL 0)
file(SHA256 "${FOLDER}/whole" whole)
file(SHA256 "${FOLDER}/parts" parts)
expect(whole STREQUAL parts)

gpt(sample --checkpoint whole --prompt "norm" --length 40)
expect(result EQUAL 0)
string(LENGTH "${out}" length)
expect(length GREATER_EQUAL 45)

file(WRITE "${FOLDER}/broken" "no tensors")
gpt(sample --checkpoint broken)
expect(result EQUAL 1)
expect(out MATCHES "broken is no safetensors file")
gpt(${train} --checkpoint none --text "${FOLDER}/missing")
expect(result EQUAL 1)
expect(out MATCHES "cannot read")
